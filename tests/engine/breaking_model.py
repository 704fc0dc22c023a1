"""Models whose loss or gradient is not finite on one of eight samples, for tests of what is saved then."""

import torch
from mmdet.structures import DetDataSample
from mmengine.dataset import DefaultSampler
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import Dataset


class Numbers(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        sample = DetDataSample(metainfo=dict(source="ade", img_path=f"img/{index}.jpg"))
        return dict(inputs=torch.tensor(float(index)), data_samples=sample)


def one_by_one():
    """Config of a loader of one number at a time, in their order."""
    sampler = {"type": DefaultSampler, "shuffle": False}
    return {"dataset": Numbers(), "batch_size": 1, "num_workers": 0, "sampler": sampler}


class BreaksAtFive(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, inputs, data_samples, mode):
        assert mode == "loss"
        assert data_samples
        bad = inputs[0] == 5
        return dict(loss_a=self.weight * (float("nan") if bad else 1.0), loss_b=self.weight * 1.0)


class GradientBreaksAtFive(BreaksAtFive):
    """All losses are finite until the step that follows the gradient."""

    def forward(self, inputs, data_samples, mode):  # noqa: ARG002
        return dict(loss=(self.weight * float(inputs[0] != 5)).sqrt())  # the slope of the root at 0 is infinite
