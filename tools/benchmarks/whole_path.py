"""A part of `inference`: the whole path from an image file to segments, by what users call."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmdet.apis import DetInferencer
from mmengine.config import Config

from mmdataseg.apis.segmenter import Segmenter
from tools.benchmarks import networks, pipelines
from tools.benchmarks.comparing import Comparison, Setting, temporary_folder

IMAGES = {1: 2, 8: 8}  # at most, of each batch size


def whole_paths(setting: Setting) -> list[Comparison]:
    """The comparisons from image files to panoptic answers, image by image and in batches."""
    height, width = pipelines.image_size(setting)
    callers = {"mmdet DetInferencer": mmdets_inferencer, "transformers pipeline": transformers_pipeline}
    return [
        Comparison(
            f"image file to panoptic answer, batch {batch_size}",
            name,
            partial(_sides, replace(setting, images=images), make, batch_size),
            f"{images} images, {height} x {width}, resized to {setting.size}",
        )
        for batch_size, images in ((size, min(setting.images, most)) for size, most in IMAGES.items())
        for name, make in callers.items()
    ]


Caller = Callable[[list[str], int], Any]


def _sides(setting: Setting, make: Callable[[Setting], Caller], batch_size: int) -> Mapping[str, Callable[[], Any]]:
    folder = temporary_folder()
    pipelines.write_images(folder, setting)
    files = [str(path) for path in sorted(folder.glob("*.jpg"))]
    callers = {"theirs": make(setting), "ours": our_segmenter(setting)}
    return {side: partial(call, files, batch_size) for side, call in callers.items()}


def our_segmenter(setting: Setting) -> Caller:
    """`Segmenter`, with random weights."""
    with tempfile.TemporaryDirectory() as folder:
        model = networks.our_config(setting, Path(folder))
        steps = [{"type": "mmdataseg.LoadImage"}, _resize(setting), {"type": "mmdataseg.PackInputs"}]
        for source in model.sources:
            source["test"] = {"pipeline": steps}
        checkpoint = Path(folder) / "random.pth"
        torch.save({"state_dict": networks.our_model(setting).state_dict(), "meta": {}}, checkpoint)
        segmenter = Segmenter(checkpoint, config=Config({"model": model}), device=setting.device)
    return lambda files, batch_size: list(segmenter(files, batch_size=batch_size))


def mmdets_inferencer(setting: Setting) -> Caller:
    """mmdet's `DetInferencer`, with random weights. It returns data samples, as its dictionaries need panopticapi."""
    steps = [
        {"type": "LoadImageFromFile"},
        _resize(setting),
        {"type": "mmdet.PackDetInputs", "meta_keys": ("img_path", "ori_shape", "img_shape", "scale_factor")},
    ]
    dataset = {"type": "mmdet.CocoPanopticDataset", "data_prefix": {"img": "", "seg": ""}, "pipeline": steps}
    config = Config(
        {
            "model": networks.mmdets_config(setting),
            "test_dataloader": {"dataset": dataset},
            "visualizer": {"type": "DetLocalVisualizer"},
        }
    )
    inferencer = DetInferencer(config, device=setting.device, show_progress=False)
    return lambda files, batch_size: inferencer(files, batch_size=batch_size, return_datasamples=True, no_save_vis=True)


def transformers_pipeline(setting: Setting) -> Caller:
    """transformers' image-segmentation pipeline, with random weights.

    Raises:
        Missing: It is not installed, or cannot be built.
    """
    model = networks.transformers_model(setting).eval()
    import transformers

    size = {"shortest_edge": setting.size, "longest_edge": setting.size}
    processor = transformers.Mask2FormerImageProcessor(size=size, num_labels=len(networks.SPACE))
    call = transformers.pipeline("image-segmentation", model=model, image_processor=processor, device=setting.device)
    return lambda files, batch_size: call(files, batch_size=batch_size, subtask="panoptic")


def _resize(setting: Setting) -> dict[str, Any]:
    return {"type": "mmdet.Resize", "scale": (setting.size, setting.size), "keep_ratio": True}
