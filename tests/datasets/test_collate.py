"""Batches in one storage: the values of mmengine's collate, one storage per batch."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
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


def test_a_tensor_without_values_stays_on_its_device() -> None:
    (found,) = pickle.loads(pickle.dumps(single_storage_collate([{"a": torch.ones(2, device="meta")}])))["a"]
    assert found.device.type == "meta"
    assert found.shape == (2,)


@pytest.mark.parametrize("collate", [single_storage_collate, pseudo_collate])
def test_a_tensor_that_appears_twice_stays_one(collate: Callable[..., Any]) -> None:
    tensor = torch.ones(3)
    (batch,) = DataLoader([{"a": tensor, "b": tensor}], batch_size=1, num_workers=1, collate_fn=collate)
    batch["a"][0].fill_(7)
    assert batch["b"][0].tolist() == [7, 7, 7]


@pytest.mark.parametrize("collate", [single_storage_collate, pseudo_collate])
def test_a_tensor_can_change_while_another_one_waits_for_its_backward_pass(collate: Callable[..., Any]) -> None:
    samples = [{"a": torch.tensor([2.0, 3.0]), "b": torch.ones(2)}]
    (batch,) = DataLoader(samples, batch_size=1, num_workers=1, collate_fn=collate)
    weight = torch.ones(2, requires_grad=True)
    loss = (weight * batch["a"][0]).sum()
    batch["b"][0].add_(1)
    loss.backward()
    assert weight.grad.tolist() == [2, 3]


def test_a_config_that_inherits_by_scope() -> None:
    """mmengine adds the scope to each of its dicts with a type, and gives this one to the function."""
    collate = {"type": "mmdataseg.single_storage_collate", "_scope_": "mmdataseg"}
    sampler = {"type": "DefaultSampler", "shuffle": False}
    loader = Runner.build_dataloader(
        {"batch_size": 2, "num_workers": 0, "dataset": [{"a": 1}, {"a": 2}], "sampler": sampler, "collate_fn": collate}
    )
    assert list(loader) == [{"a": [1, 2]}]


def test_another_mapping_stays_one() -> None:
    assert type(single_storage_collate([ConfigDict(a=1)])) is ConfigDict


def test_samples_that_are_not_dicts_are_collated_as_by_mmengine() -> None:
    samples = [(torch.ones(1), 2), (torch.zeros(1), 3)]
    assert single_storage_collate(samples) == pseudo_collate(samples)
