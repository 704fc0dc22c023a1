"""`data`: training pipelines from files to packed samples, ours against mmdet's."""

import contextlib
import sys
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from mmdet.datasets import CocoPanopticDataset
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader, Dataset

from mmdataseg.datasets import PanopticSegDataset, single_storage_collate
from mmdataseg.formats.categories import make_categories
from mmdataseg.formats.coco_panoptic import PanopticSegments, rgb_to_id, write_panoptic_png
from mmdataseg.formats.json_files import write_coco_json
from mmdataseg.progress import counted
from mmdataseg.text.vocabularies import get_label_space
from tools.benchmarks.comparing import Comparison, Setting, temporary_folder
from tools.benchmarks.networks import id_map

SPACE = get_label_space("coco133")
COCO_SIZE = (480, 640)
PHOTOGRAPH = (3000, 4000)
_TILE = 1000  # pixels; larger images repeat a tile of this side, as noise for each pixel would take seconds
PASSES = 16  # of a loader over the images; a training starts its workers once, so their start must not dominate


def pipelines(setting: Setting) -> list[Comparison]:
    """The comparisons of `data`."""
    height, width = image_size(setting)
    sizes = f"{setting.images} images, {height} x {width}, {setting.targets} segments each, crops of {setting.size}"
    decoding = [
        Comparison(f"JPEG of {height} x {width} at half size", "full size", partial(_decodings, (height, width)), "-")
        for height, width in (image_size(setting), PHOTOGRAPH)
    ]
    loaders = [
        Comparison(
            f"panoptic training loader, {counted(workers, 'worker')}",
            "mmdet",
            partial(_loaders, setting, workers),
            sizes,
        )
        for workers in (1, 2)
    ]
    return [Comparison("panoptic training pipeline", "mmdet", lambda: _sides(setting), sizes), *loaders, *decoding]


def image_size(setting: Setting) -> tuple[int, int]:
    """(height, width) of the images on disk: COCO's, or smaller in the preset `tiny`."""
    return min(COCO_SIZE[0], setting.answer[0]), min(COCO_SIZE[1], setting.answer[1])


def write_images(folder: Path, setting: Setting) -> None:
    """Write JPEGs, panoptic PNGs and their JSON, drawn from seeds.

    Args:
        folder: Where to write.
        setting: Number of images and of segments.
    """
    size = image_size(setting)
    images, annotations = [], []
    for number in range(setting.images):
        ids, labels = (tensor.numpy() for tensor in id_map(setting, number, size))
        colors = np.random.default_rng(number).integers(0, 256, (len(labels), 3))
        name = f"{number:06d}"
        cv2.imwrite(str(folder / f"{name}.jpg"), _picture(colors[ids], number))
        categories = {row + 1: int(label) + 1 for row, label in enumerate(labels)}
        segments = PanopticSegments(ids=ids + 1, categories=categories)
        info = write_panoptic_png(folder / f"{name}.png", segments)
        images.append({"id": number, "file_name": f"{name}.jpg", "height": size[0], "width": size[1]})
        annotations.append({"image_id": number, "file_name": f"{name}.png", "segments_info": info})
    categories = make_categories(SPACE, range(1, len(SPACE) + 1))
    write_coco_json(folder / "panoptic.json", images=images, annotations=annotations, categories=categories)


def _picture(colors: np.ndarray, seed: int) -> np.ndarray:
    """(H, W, 3) uint8: the colours with soft edges and noise, as a JPEG of flat colours decodes faster."""
    picture = cv2.GaussianBlur(colors.astype(np.uint8), (5, 5), 0)
    noise = np.random.default_rng(seed).normal(0, 12, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def _decodings(size: tuple[int, int]) -> dict[str, Callable[[], Any]]:
    """OpenCV decodes a JPEG at half size by libjpeg's scaling, or at full size."""
    cells = np.random.default_rng(0).integers(0, 256, (_TILE // 20, _TILE // 20, 3))
    tile = _picture(cells.repeat(20, axis=0).repeat(20, axis=1), 0)
    down, right = -(-size[0] // _TILE), -(-size[1] // _TILE)
    _, content = cv2.imencode(".jpg", np.tile(tile, (down, right, 1))[: size[0], : size[1]])
    times = range(max(1, PHOTOGRAPH[0] * PHOTOGRAPH[1] // (size[0] * size[1])))
    return {
        "ours": lambda: [cv2.imdecode(content, cv2.IMREAD_REDUCED_COLOR_2) is None for _ in times],
        "theirs": lambda: [cv2.imdecode(content, cv2.IMREAD_COLOR) is None for _ in times],
    }


def _sides(setting: Setting) -> dict[str, Callable[[], Any]]:
    return {side: partial(_load, samples) for side, samples in _samples(setting).items()}


def _load(samples: "_Samples") -> list[Any]:
    return [samples[index] for index in range(samples.images)]


def _loaders(setting: Setting, workers: int) -> dict[str, Callable[[], Any]]:
    """Return what runs all passes. Its time includes one start of the workers and sending the samples."""
    calls, collates = {}, {"ours": single_storage_collate, "theirs": pseudo_collate}
    for side, samples in _samples(setting).items():
        loader = DataLoader(samples, batch_size=2, num_workers=workers, collate_fn=collates[side])
        calls[side] = partial(deque, loader, maxlen=0)
    return calls


class _Samples(Dataset):
    """Packed samples, each image several times, with random numbers that depend on the index alone.

    Args:
        dataset: A dataset with ``get_data_info``, as mmdet's have.
        steps: Configs of the transforms of its pipeline.
    """

    def __init__(self, dataset: Any, steps: list[dict[str, Any]]) -> None:
        self.images = len(dataset)
        self._dataset, self._pipeline = dataset, Compose(steps)

    def __len__(self) -> int:
        return PASSES * self.images

    def __getitem__(self, index: int) -> Any:
        np.random.seed(index)
        return self._pipeline(self._dataset.get_data_info(index % self.images))


def _samples(setting: Setting) -> dict[str, _Samples]:
    folder = temporary_folder()
    write_images(folder, setting)
    metainfo = {"classes": SPACE.classes, "is_thing": SPACE.is_thing}
    ours = PanopticSegDataset(
        ann_file="panoptic.json", img_dir=".", ann_dir=".", data_root=str(folder), metainfo=metainfo
    )
    with rgb2id_of_panopticapi(), DefaultScope.overwrite_default_scope("mmdet"):
        theirs = CocoPanopticDataset(
            ann_file="panoptic.json", data_prefix={"img": "", "seg": ""}, data_root=str(folder), pipeline=[]
        )
        return {"ours": _Samples(ours, our_steps(setting.size)), "theirs": _Samples(theirs, mmdet_steps(setting.size))}


def our_steps(size: int) -> list[dict[str, Any]]:
    """The training pipeline of `coco_panoptic`, with crops of this size."""
    return [
        {"type": "mmdataseg.LoadImage"},
        {"type": "mmdataseg.LoadPanopticMap"},
        {"type": "RandomResize", "scale": (size, size), "ratio_range": (0.1, 2.0), "keep_ratio": True},
        {"type": "mmdataseg.RandomCrop", "size": (size, size)},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "mmdataseg.PackInputs"},
    ]


def mmdet_steps(size: int) -> list[dict[str, Any]]:
    """The training pipeline of mmdet's Mask2Former for COCO panoptic, with crops of this size."""
    return [
        {"type": "LoadImageFromFile", "to_float32": True},
        {"type": "LoadPanopticAnnotations", "with_bbox": True, "with_mask": True, "with_seg": True},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "RandomResize", "scale": (size, size), "ratio_range": (0.1, 2.0), "keep_ratio": True},
        {"type": "RandomCrop", "crop_size": (size, size), "crop_type": "absolute", "recompute_bbox": True,
         "allow_negative_crop": True},
        {"type": "PackDetInputs"},
    ]  # fmt: skip


@contextlib.contextmanager
def rgb2id_of_panopticapi() -> Iterator[None]:
    """mmdet's ``LoadPanopticAnnotations`` imports one function of panopticapi, which is not on the package index. Where
    it is not installed, a module with ours, which computes the same, takes its place."""
    try:
        import panopticapi.utils  # noqa: F401
    except ImportError:
        package, utils = ModuleType("panopticapi"), ModuleType("panopticapi.utils")
        utils.rgb2id = rgb_to_id  # type: ignore[attr-defined]
        package.utils = utils  # type: ignore[attr-defined]
        sys.modules.update({"panopticapi": package, "panopticapi.utils": utils})
        try:
            yield
        finally:
            for name in ("panopticapi", "panopticapi.utils"):
                del sys.modules[name]
        return
    yield
