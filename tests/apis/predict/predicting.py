"""Predictions by the command, in this process and in others, with the toy world of `world` as the current folder."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdataseg.apis import cli

# of another process: the package that these tests are of, wherever it is started
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}


def predict(*words):
    cli.main(["predict", "trained.pth", "data/toy/toy_open/val", "--device", "cpu", *words])


def refused(capsys, *words, exit_code=1):
    """What a prediction that ends in an error prints on stderr."""
    with pytest.raises(SystemExit) as exit_info:
        predict(*words)
    assert exit_info.value.code == exit_code
    return capsys.readouterr().err


def start(images, out, *words):
    command = [sys.executable, "-m", "mmdataseg", "predict", "trained.pth", "--device", "cpu", str(images)]
    options = ["--tasks", "panoptic", "instance", "--min-score", "0", "--out", str(out), *words]
    return subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )


def files(folder):
    """Path -> content of all files."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def make_video(path, number=5):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for shade in range(number):
        writer.write(np.full((48, 64, 3), 40 * shade, np.uint8))
    writer.release()
