"""A CUDA device made of the CPU: tensors know that they are "on cuda", and a mix of devices is an error, as on a GPU.

The numbers are computed on the CPU. So it finds tensors that were made on the wrong device or given to numpy. It does
not test kernels, memory or speed, nor what happens inside torch's own functions and their backward passes. Autocast
of the GPU is that of the CPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode, handle_torch_function, has_torch_function, resolve_name
from torch.utils._pytree import tree_flatten, tree_map

from mmdataseg.models.heads import pixel_decoder

CUDA = torch.device("cuda", 0)
PROPERTIES = {"device": CUDA, "is_cuda": True, "is_cpu": False}
MAY_MIX = {"copy_", "to", "type_as", "set_", "__set__", "_has_compatible_shallow_copy_type"}


class FakeCuda(TorchFunctionMode):
    """While it is active, ``device="cuda"`` makes tensors that count as tensors of another device.

    Raises:
        RuntimeError: A function gets tensors of both devices, unless those of the CPU are scalars; or numpy gets a
            tensor of the fake device.
    """

    def __init__(self) -> None:
        super().__init__()
        # by storage, as views share it; the weak reference keeps its address from being used again
        self._storages: dict[int, StorageWeakRef] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        *_, owner, name = ("", *(resolve_name(func) or getattr(func, "__name__", "")).split("."))
        tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, torch.Tensor)]
        on_cuda = [self._is_fake(tensor) for tensor in tensors]
        if name == "__get__" and owner in PROPERTIES and any(on_cuda):
            return PROPERTIES[owner]
        if torch._C._current_graph_task_id() == -1:  # torch's own backward passes make gradients that we do not see
            _check(name, tensors, on_cuda)
        target = _target(name, args, kwargs)
        if target == "as argument":
            target = "cuda" if on_cuda[-1] else "cpu"
        if "device" in kwargs:
            kwargs["device"] = _on_the_cpu(kwargs["device"])
        if name == "to":
            args = [_on_the_cpu(value) for value in args]
        result = args[0] if name == "cuda" else func(*args, **kwargs)
        if target is None:
            return tree_map(self._mark, result) if any(on_cuda) else result
        return tree_map(lambda value: self._moved(value, to_fake=target == "cuda"), result)

    def _is_fake(self, tensor: torch.Tensor) -> bool:
        return tensor.layout == torch.strided and tensor.untyped_storage()._cdata in self._storages

    def _mark(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.layout == torch.strided:
            storage = value.untyped_storage()
            self._storages.setdefault(storage._cdata, StorageWeakRef(storage))
        return value

    def _moved(self, value: Any, *, to_fake: bool) -> Any:
        if not isinstance(value, torch.Tensor) or self._is_fake(value) == to_fake:
            return value
        return self._mark(value.clone()) if to_fake else value.clone()


def _target(name: str, args: Any, kwargs: dict[str, Any]) -> str | None:
    """The kind of device that the result must be on; None: that of the arguments."""
    if name in ("cpu", "cuda"):
        return name
    given = [*args[1:], *kwargs.values()] if name == "to" else [kwargs.get("device")]
    for value in given:
        if isinstance(value, torch.device | str):
            return torch.device(value).type
    return "as argument" if name in ("to", "type_as") and isinstance(args[1], torch.Tensor) else None


def _on_the_cpu(value: Any) -> Any:
    is_cuda = isinstance(value, torch.device | str) and str(value).partition(":")[0] == "cuda"
    return torch.device("cpu") if is_cuda else value


def _check(name: str, tensors: list[torch.Tensor], on_cuda: list[bool]) -> None:
    if name in ("numpy", "__array__") and any(on_cuda):
        raise RuntimeError("can't convert a cuda tensor to numpy")
    strays = [t for t, fake in zip(tensors, on_cuda, strict=True) if not fake and t.dim()]
    if name == "__getitem__" and on_cuda and on_cuda[0]:
        return  # torch moves indices from the CPU to the device, but not from the device to the CPU
    if name not in MAY_MIX and any(on_cuda) and strays:
        raise RuntimeError(
            f"{name}: expected all tensors on cuda, got {[tuple(t.shape) for t in strays]} on the CPU besides "
            f"{[tuple(t.shape) for t, fake in zip(tensors, on_cuda, strict=True) if fake]}"
        )


def _mode_sees_indexing() -> bool:
    """Whether an active mode gets the calls of ``tensor[...]``; with torch 2.1 it does not."""
    seen = []

    class Mode(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(getattr(func, "__name__", ""))
            return func(*args, **(kwargs or {}))

    tensor = torch.zeros(1)
    with Mode():
        tensor[0]
    return "__getitem__" in seen


def _for_modes(function: Any) -> Any:
    """Give calls to the active mode."""

    def called(*args: Any) -> Any:
        tensor = args[:1]
        return handle_torch_function(function, tensor, *args) if has_torch_function(tensor) else function(*args)

    return called


@contextmanager
def fake_cuda() -> Iterator[None]:
    """Make ``device="cuda"`` work without a GPU."""

    class Autocast(torch.autocast):
        def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
            super().__init__("cpu" if device_type == "cuda" else device_type, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch, FakeCuda():
        patch.setattr(torch, "autocast", Autocast)
        # only if needed: after this is undone, a tensor without dimensions still counts as a sequence for torch
        for name in () if _mode_sees_indexing() else ("__getitem__", "__setitem__"):
            patch.setattr(torch.Tensor, name, _for_modes(getattr(torch.Tensor, name)))
        # a mmcv that was compiled for GPUs must not get these tensors
        patch.setattr(pixel_decoder, "get_compiling_cuda_version", lambda: "not available")
        yield
