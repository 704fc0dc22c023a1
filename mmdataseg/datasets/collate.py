"""A batch on its way from a worker to the main process: all its tensors in one storage."""

import io
import pickle
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor

from mmdataseg.registry import FUNCTIONS

ALIGNMENT = 64  # bytes between the starts of two tensors: a cache line


@FUNCTIONS.register_module()
def single_storage_collate(samples: Sequence[Any]) -> Any:
    """mmengine's ``pseudo_collate``, but a worker sends all tensors of a batch in one storage.

    torch opens a file of shared memory for each storage that a worker sends. That takes about half a millisecond of
    both processes, however small the tensor is, and a sample of ours has at least three tensors. The main process gets
    a batch with the same values. Its tensors are views of one storage, so a tensor that is kept keeps the whole batch.

    Args:
        samples: What the dataset returned, for each image.

    Returns:
        What ``pseudo_collate`` returns; for samples that are dicts, a dict with a list for each key.
    """
    batch = pseudo_collate(samples)
    return _SingleStorage(batch) if isinstance(batch, Mapping) else batch


class _SingleStorage(dict):
    """A dict that is pickled with its tensors in one storage, and unpickled as an ordinary dict."""

    def __reduce__(self) -> tuple[Any, ...]:
        file = io.BytesIO()
        pickler = _Pickler(file)
        pickler.dump(dict(self))
        places, size = [], 0
        for tensor in pickler.tensors:
            places.append(_Place(size, tensor.shape, tensor.dtype))
            size += -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT
        storage = torch.empty(size, dtype=torch.uint8)
        for place, tensor in zip(places, pickler.tensors, strict=True):
            place.view(storage).copy_(tensor)
        return _unpickled, (file.getvalue(), storage, places)


class _Place(NamedTuple):
    """Where a tensor is in the storage."""

    start: int
    shape: torch.Size
    dtype: torch.dtype

    def view(self, storage: Tensor) -> Tensor:
        size = self.shape.numel() * self.dtype.itemsize
        return storage[self.start : self.start + size].view(self.dtype).view(self.shape)


class _Pickler(pickle.Pickler):
    """Puts tensors into a list, and pickles their indices. Tensors that are more than their values stay where they
    are: parameters, sparse tensors, those with a gradient or on a GPU."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.tensors: list[Tensor] = []

    def persistent_id(self, item: Any) -> int | None:
        if type(item) is not Tensor or item.layout is not torch.strided or item.is_cuda or item.requires_grad:
            return None
        self.tensors.append(item)
        return len(self.tensors) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, tensors: Sequence[Tensor]) -> None:
        super().__init__(file)
        self._tensors = tensors

    def persistent_load(self, index: int) -> Tensor:
        return self._tensors[index]


def _unpickled(content: bytes, storage: Tensor, places: Sequence[_Place]) -> dict[str, Any]:
    return _Unpickler(io.BytesIO(content), [place.view(storage) for place in places]).load()
