"""Batches in one storage: the values of mmengine's collate, one storage per batch."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData, PixelData
from torch.utils.data import DataLoader

from mmdataseg.datasets.collate import single_storage_collate


def sample(index: int) -> dict[str, Any]:
    """An image of `index` + 1 columns with `index` targets."""
    generator = torch.Generator().manual_seed(index)
    data = DetDataSample(metainfo={"source": "a", "img_shape": (2, index + 1)})
    data.gt_instances = InstanceData(labels=torch.arange(index), bboxes=torch.rand(index, 4, generator=generator))
    data.gt_id_map = PixelData(data=torch.randint(-1, 9, (1, 2, index + 1), generator=generator, dtype=torch.int32))
    data.set_field(torch.rand(3, 2, generator=generator).T > 0.5, "transposed", dtype=torch.Tensor)
    data.set_field(torch.tensor(2.5, dtype=torch.float64), "scalar", dtype=torch.Tensor)
    image = torch.randint(0, 256, (3, 2, index + 1), generator=generator, dtype=torch.uint8)
    return {"inputs": image, "data_samples": data, "array": np.arange(index)}


def tensors_of(batch: dict[str, Any]) -> list[torch.Tensor]:
    found = list(batch["inputs"])
    for data in batch["data_samples"]:
        found += [data.gt_instances.labels, data.gt_instances.bboxes, data.gt_id_map.data, data.transposed, data.scalar]
    return found


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert type(found) is dict
    assert list(found) == list(expected)
    for ours, theirs in zip(tensors_of(found), tensors_of(expected), strict=True):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)
    assert [d.metainfo for d in found["data_samples"]] == [d.metainfo for d in expected["data_samples"]]
    assert [a.tolist() for a in found["array"]] == [a.tolist() for a in expected["array"]]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_gives_the_batches_of_pseudo_collate(workers: int) -> None:
    samples = [sample(index) for index in range(6)]
    found, expected = (
        list(DataLoader(samples, batch_size=2, num_workers=workers, collate_fn=collate))
        for collate in (single_storage_collate, pseudo_collate)
    )
    assert len(found) == 3
    for ours, theirs in zip(found, expected, strict=True):
        assert_same(dict(ours), theirs)


@pytest.mark.parametrize(("collate", "storages"), [(single_storage_collate, 1), (pseudo_collate, 12)])
def test_storages_that_a_worker_sends(collate: Callable[..., Any], storages: int) -> None:
    (batch,) = DataLoader([sample(1), sample(3)], batch_size=2, num_workers=1, collate_fn=collate)
    assert len({tensor.untyped_storage().data_ptr() for tensor in tensors_of(batch)}) == storages


def test_tensors_do_not_overlap_and_begin_at_cache_lines() -> None:
    (batch,) = DataLoader([sample(3), sample(4)], batch_size=2, num_workers=1, collate_fn=single_storage_collate)
    tensors = tensors_of(batch)
    before = [tensor.clone() for tensor in tensors]
    tensors[0].fill_(7)
    assert all(tensor.data_ptr() % 64 == 0 for tensor in tensors)
    assert all(torch.equal(now, then) for now, then in zip(tensors[1:], before[1:], strict=True))


def test_a_copy_is_an_ordinary_dict_of_the_same_values() -> None:
    batch = single_storage_collate([sample(1), sample(2)])
    for copied in (copy.copy(batch), copy.deepcopy(batch), pickle.loads(pickle.dumps(batch))):
        assert_same(copied, pseudo_collate([sample(1), sample(2)]))


def test_a_parameter_stays_a_parameter() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    (found,) = pickle.loads(pickle.dumps(single_storage_collate([{"weight": parameter}])))["weight"]
    assert type(found) is torch.nn.Parameter
    assert torch.equal(found, parameter)


def test_samples_that_are_no_dicts_are_collated_as_by_mmengine() -> None:
    samples = [(torch.ones(1), 2), (torch.zeros(1), 3)]
    assert single_storage_collate(samples) == pseudo_collate(samples)
