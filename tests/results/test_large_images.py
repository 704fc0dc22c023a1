"""The memory of the answers for a large image, in fresh processes."""

import subprocess
import sys
from pathlib import Path

import pytest

SIDE, PROPOSALS = 4000, 100
MAP = 4 * SIDE * SIDE / 2**20
"""MiB of a map of int32 or float32."""

PROPOSALS_OF_DISCS = f"""
import numpy as np
import torch
from mmdataseg.ops.postprocess import ImageSizes, box_instances
from tools.benchmarks.comparing import peak_memory

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
side, cells, proposals = {SIDE}, 200, {PROPOSALS}
classes = 2 * torch.randn(proposals, 4, generator=generator)
y, x, radius = (torch.rand(3, proposals, 1, 1, generator=generator) * cells).split(1)
place = torch.arange(cells)
masks = radius[0] / 8 + 10 - ((place[:, None] - y[0]) ** 2 + (place - x[0]) ** 2).sqrt()
masks[0] = 9  # one is everywhere
sizes = ImageSizes(padded=(4 * cells, 4 * cells), image=(4 * cells, 4 * cells), original=(side, side))
"""

INSTANCES = """
def answer():
    found = box_instances(
        classes, masks, sizes, is_thing_K=torch.tensor([True, True, False]), max_instances=proposals
    )
    assert len(found[2]) == proposals
    return found


print(peak_memory(answer, "cpu"))
"""

ALL_TASKS = """
from mmdet.structures import DetDataSample
from mmdataseg.models import InstancePostProcessor, PanopticPostProcessor, SemanticPostProcessor
from mmdataseg.results.result import Result
from mmdataseg.results.segments import Answer
from mmdataseg.sources import Source
from mmdataseg.structures import LabelSpace, Task

space = LabelSpace("garage", ("car", "bicycle", "road"), (True, True, False))
image = np.zeros((side, side, 3), np.uint8)
tasks = dict(
    panoptic=PanopticPostProcessor(score_threshold=0.4),
    semantic=SemanticPostProcessor(),
    instance=InstancePostProcessor(),
)


def answer():
    sample = DetDataSample(metainfo=dict(ori_shape=(side, side)))
    for processor in tasks.values():
        for field, value in processor(classes, masks, space, sizes, compact=True).items():
            setattr(sample, field, value)
    assert len(sample.pred_instances) == 100
    sources = [Source(name="x", task=Task(task), label_space=space) for task in tasks]
    answers = {(source.task, "x"): Answer(source=source, prediction=sample) for source in sources}
    result = Result(name="a", path=None, image=image, answers=answers)
    result.to_json()
    result.sheet()
    return result["panoptic"].id_map


print(peak_memory(answer, "cpu"))
"""


def peak(script: str, root: Path) -> float:
    """Return the MiB that ``answer`` of a script adds."""
    code = PROPOSALS_OF_DISCS + script
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.splitlines()[-1])


pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the peak memory cannot be reset here"
)


def test_a_hundred_instances_take_less_memory_than_four_maps(repo_root: Path) -> None:
    """Full masks would take 25 maps, and a copy of them as many again."""
    assert peak(INSTANCES, repo_root) < 4 * MAP


@pytest.mark.slow
def test_three_tasks_with_results_and_a_picture_take_less_memory_than_ten_maps(repo_root: Path) -> None:
    assert peak(ALL_TASKS, repo_root) < 10 * MAP
