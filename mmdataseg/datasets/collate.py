"""A batch on its way from a worker to the main process: all its tensors in one storage."""

import io
import pickle
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor, UntypedStorage

from mmdataseg.registry import FUNCTIONS

ALIGNMENT = 64  # bytes between the starts of two tensors: a cache line


@FUNCTIONS.register_module()
def single_storage_collate(samples: Sequence[Any], *, _scope_: str | None = None) -> Any:  # noqa: ARG001
    """mmengine's ``pseudo_collate``, but a worker sends all tensors of a batch in one storage.

    torch opens a file of shared memory for each storage that a worker sends. That takes the two processes about 0.2
    milliseconds, however small the tensor is, and a sample of ours has at least three tensors. The main process gets a
    batch with the same values. Its tensors share one storage, so a tensor that is kept keeps the whole batch.

    Args:
        samples: What the dataset returned, for each image.
        _scope_: Ignored. mmengine's Runner passes it if a config inherits ours by ``mmdataseg::``.

    Returns:
        What ``pseudo_collate`` returns; for samples that are dicts, a dict with a list for each key.
    """
    batch = pseudo_collate(samples)
    return _SingleStorage(batch) if type(batch) is dict else batch


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
            place.tensor(storage.untyped_storage()).copy_(tensor)
        return _unpickled, (file.getvalue(), storage, places)


class _Place(NamedTuple):
    """Where a tensor is in the storage."""

    start: int
    shape: torch.Size
    dtype: torch.dtype

    def tensor(self, storage: UntypedStorage) -> Tensor:
        # not a view: for autograd, a change of one view in place is a change of all
        empty = torch.empty(0, dtype=self.dtype, device=storage.device)
        return empty.set_(storage, self.start // self.dtype.itemsize, self.shape)


class _Pickler(pickle.Pickler):
    """Puts each tensor into a list once, and pickles its index. Tensors that are more than their values stay where they
    are: parameters, sparse tensors, those with a gradient or not on a CPU."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.tensors: list[Tensor] = []
        self._indices: dict[int, int] = {}

    def persistent_id(self, item: Any) -> int | None:
        is_plain = type(item) is Tensor and item.layout is torch.strided and item.device.type == "cpu"
        if not is_plain or item.requires_grad:
            return None
        index = self._indices.setdefault(id(item), len(self.tensors))
        if index == len(self.tensors):
            self.tensors.append(item)
        return index


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, tensors: Sequence[Tensor]) -> None:
        super().__init__(file)
        self._tensors = tensors

    def persistent_load(self, index: int) -> Tensor:
        return self._tensors[index]


def _unpickled(content: bytes, storage: Tensor, places: Sequence[_Place]) -> dict[str, Any]:
    tensors = [place.tensor(storage.untyped_storage()) for place in places]
    return _Unpickler(io.BytesIO(content), tensors).load()
