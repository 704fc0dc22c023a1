"""Check that a small model can be built and run."""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mmdataseg.apis.checks.finding import Finding
from mmdataseg.apis.config.files import config_root

_CLASSES = ("red disc", "blue star", "grass")
_SIZE = 128


def check_forward() -> Iterator[Finding]:
    """Build the untrained toy model and run it on noise twice: once to warm up, once to measure the time."""
    import torch

    yield _run("cpu")
    if torch.cuda.is_available():
        yield _run("cuda")


def _run(device: str) -> Finding:
    import torch
    from mmdet.structures import DetDataSample
    from mmengine.config import Config
    from mmengine.registry import DefaultScope

    from mmdataseg.registry import MODELS
    from mmdataseg.text.embeddings import TextEmbeddings, save_embeddings
    from mmdataseg.text.recipe import EncoderInfo

    config = Config.fromfile(config_root() / "_base_/models/dataseg_small.py")
    with tempfile.TemporaryDirectory(prefix="mmdataseg_checks_") as folder:
        file = Path(folder, "check.safetensors")
        matrix = torch.eye(len(_CLASSES), config.model.classifier.embed_dim)
        encoder = EncoderInfo(library="", model="checks", imported=True)
        save_embeddings(file, TextEmbeddings(matrix=matrix, classes=_CLASSES, encoder=encoder))
        space = dict(name="check", classes=_CLASSES, is_thing=(True, True, False))
        source = dict(name="check", task="panoptic", label_space=space, embeddings=str(file))
        with DefaultScope.overwrite_default_scope("mmdet"):
            model = MODELS.build(dict(config.model, sources=[source])).to(device).eval()
    batch = {
        "inputs": [torch.randint(0, 256, (3, _SIZE, _SIZE), dtype=torch.uint8)],
        "data_samples": [
            DetDataSample(metainfo=dict(source="check", img_shape=(_SIZE, _SIZE), ori_shape=(_SIZE, _SIZE)))
        ],
    }
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    for _ in range(2):
        start = time.perf_counter()
        (sample,) = model.test_step(batch)
        found = sample.pred_panoptic_seg.sem_seg.cpu()
        seconds = time.perf_counter() - start
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    text = f"{parameters:.1f} million parameters, {_SIZE} x {_SIZE} pixels, {seconds * 1000:.0f} ms, {_memory(device)}"
    name = f"panoptic segmentation on {device}"
    if tuple(found.shape[-2:]) == (_SIZE, _SIZE):
        return Finding(name, "ok", text)
    text += f", an answer of shape {tuple(found.shape)}"
    return Finding(name, "broken", text, "report this as a bug, with all of this output")


def _memory(device: str) -> str:
    import torch

    if device == "cuda":
        return f"at most {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB of the GPU"
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux, bytes on macOS
    return f"at most {peak / (2**20 if sys.platform == 'darwin' else 2**10):.0f} MiB in the whole process"
