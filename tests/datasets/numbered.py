"""Sources whose samples are numbers, and transforms that draw or fail, to show what `MultiSourceDataset` does."""

import random

import cv2
import numpy as np
import torch
from mmengine.dataset import BaseDataset

from mmdataseg.datasets.multi_source import MultiSourceDataset
from mmdataseg.registry import DATASETS, TRANSFORMS

SPACE = {"name": "animals", "classes": ["cat", "grass", "dog"], "is_thing": [True, False, True]}


@TRANSFORMS.register_module(force=True)
class DrawFromEveryGenerator:
    """Leave what an augmentation would draw."""

    def __call__(self, results):
        results["drawn"] = (random.random(), np.random.rand(), torch.rand(()).item())
        return results


@TRANSFORMS.register_module(force=True)
class FailOn:
    """Return None, or raise, on the samples whose number is listed; all of them if none is."""

    def __init__(self, *, numbers=None, error=None):
        self.numbers = numbers
        self.error = error

    def __call__(self, results):
        if self.numbers is not None and results["number"] not in self.numbers:
            return results
        if self.error is not None:
            raise self.error
        return None


@DATASETS.register_module(force=True)
class Numbers(BaseDataset):
    """Samples that are a number and a path."""

    def __init__(self, *, size, prefix="img", metainfo=None, pipeline=(), lazy_init=False):
        self.size = size
        self.prefix = prefix
        super().__init__(metainfo=metainfo, pipeline=list(pipeline), lazy_init=lazy_init)

    def load_data_list(self):
        return [{"number": i, "img_path": f"{self.prefix}/{i}.jpg"} for i in range(self.size)]


def source(name="a", split="train", task="panoptic", space=None, **dataset):
    dataset = {"type": "mmdataseg.Numbers", "size": 4, **dataset}
    return {"name": name, "task": task, "label_space": space or SPACE, split: dataset}


def build(*sources, split="train", **kwargs):
    return MultiSourceDataset(sources=list(sources), split=split, **kwargs)


def write_images(folder, broken=None, content=b"no image"):
    folder.mkdir()
    for i in range(4):
        path = folder / f"{i}.jpg"
        if i == broken:
            path.write_bytes(content)
        else:
            cv2.imwrite(str(path), np.full((8, 10, 3), 40 * i, np.uint8))
    return str(folder)
