"""An unpickler that builds tensors and plain values, and inert stand-ins for everything else.

A pickle is a program: it names functions and calls them. Here only the names of a short list are resolved; every other
name gives a class whose instances keep the items of a dict, and do nothing.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from importlib import import_module
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np
import torch

# Names that build tensors, arrays, scalars and containers. None of them takes a function, a name or a path.
PLAIN: Mapping[str, frozenset[str]] = {
    "builtins": frozenset({"bytearray", "complex", "dict", "float", "frozenset", "int", "list", "set", "slice"}),
    "collections": frozenset({"OrderedDict"}),
    "_codecs": frozenset({"encode"}),
    "numpy": frozenset({"dtype", "ndarray"}),
    "numpy.core.multiarray": frozenset({"_reconstruct", "scalar"}),
    "numpy._core.multiarray": frozenset({"_reconstruct", "scalar"}),
    "torch": frozenset({"Size", "device"}),  # and its data types
    "torch._utils": frozenset({"_rebuild_parameter", "_rebuild_tensor", "_rebuild_tensor_v2"}),
}
STORAGES = frozenset(
    f"{kind}Storage"
    for kind in "BFloat16 Bool Byte Char ComplexDouble ComplexFloat Double Float Half Int Long Short Untyped".split()
)
# Modules with which a pickle can do harm. A file that names one of them is refused, not read in part.
CODE = frozenset(
    "os posix nt sys subprocess pty runpy importlib shutil socket ctypes code io _io multiprocessing threading asyncio "
    "webbrowser pickle _pickle marshal types operator functools torch.jit torch.hub".split()
)
CODE_BUILTINS = frozenset("eval exec compile open __import__ setattr delattr input breakpoint".split())
HISTORY = ("mmengine.logging.history_buffer", "HistoryBuffer")


class CodeInPickleError(pickle.UnpicklingError):
    """A pickle names what can run code; the message is that name."""


class Ignored(dict):
    """A placeholder for an object of a type that is not built; keeps the items of a dict, and nothing else."""

    def __init__(self, *args: Any, **_: Any) -> None:
        super().__init__(args[0] if args and isinstance(args[0], dict) else {})

    def __setstate__(self, state: Any) -> None:
        """Ignore the state."""

    def append(self, item: Any) -> None:
        """Ignore the item."""

    def extend(self, items: Any) -> None:
        """Ignore the items."""

    add = append


class _Callable:
    """A function of `PLAIN` that a pickle can call but not change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)


class PlainUnpickler(pickle.Unpickler):
    """Reads a pickle without importing what it names. `pickle_module` makes a subclass for each file.

    Attributes:
        skipped: Name of a type that was not built -> its stand-in.
        histories: mmengine's logs of scalars, still to be given their class (`restore_histories`).
    """

    skipped: dict[str, type]
    histories: list[Any]

    def find_class(self, module: str, name: str) -> Any:
        """Resolve a name in the pickle."""
        module = {"__builtin__": "builtins", "torch.storage": "torch"}.get(module, module)
        if module in CODE or module.split(".")[0] in CODE or (module == "builtins" and name in CODE_BUILTINS):
            raise CodeInPickleError(f"{module}.{name}")
        if (module, name) == ("torch._tensor", "_rebuild_from_type_v2"):  # its attributes are dropped
            return _Callable(lambda function, _type, args, _state: function(*args))
        if (module, name) == ("torch._utils", "_rebuild_parameter_with_state"):
            return _Callable(lambda data, *_: data)
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if (module, name) == ("builtins", "getattr"):  # mmengine's logs of scalars look up their own methods
            return _Callable(lambda *_: None)
        if (module, name) == HISTORY:
            return self._history_class()
        if name in PLAIN.get(module, ()) or (module == "torch" and name in STORAGES):
            return _plain_name(module, name)
        if module in ("numpy", "numpy.dtypes") and name.endswith("DType"):
            return _plain_name("numpy.dtypes", name)
        return self.skipped.setdefault(f"{module}.{name}", type("Ignored", (Ignored,), {}))

    def _history_class(self) -> type:
        found = self.histories

        class History:
            """A class for this file only: what a pickle does to it does not last."""

            def __new__(cls, *_: Any) -> "History":
                made = super().__new__(cls)
                found.append(made)
                return made

        return History


def _plain_name(module: str, name: str) -> Any:
    if module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # numpy 2 moved it
        module = "numpy._core.multiarray" if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else "numpy.core.multiarray"
    found = getattr(import_module(module), name)
    return found if isinstance(found, type) or not callable(found) else _Callable(found)


def restore_histories(histories: list[Any]) -> None:
    """Turn what `PlainUnpickler` read for mmengine's logs of scalars into its ``HistoryBuffer``, in place.

    A resumed training needs them.
    """
    if not histories:
        return
    from mmengine.logging import HistoryBuffer

    fields = ("_log_history", "_count_history", "max_length")
    for history in histories:
        state = {key: history.__dict__[key] for key in fields if key in history.__dict__}
        history.__class__ = HistoryBuffer
        history.__dict__.clear()
        history.__dict__.update(HistoryBuffer().__dict__ | state)


def plain(value: Any) -> Any:
    """Turn stand-ins into dicts, all the way down; one without items into None."""
    if isinstance(value, Ignored):
        return {key: plain(item) for key, item in value.items()} or None
    if type(value) in (dict, OrderedDict):
        for key in value:
            value[key] = plain(value[key])
        return value
    if type(value) is list:
        value[:] = map(plain, value)
        return value
    return tuple(map(plain, value)) if type(value) is tuple else value


def pickle_module(skipped: dict[str, type], histories: list[Any]) -> Any:
    """Return a replacement for the module ``pickle``, for ``torch.load``. Its reader fills both arguments."""
    unpickler = type("Unpickler", (PlainUnpickler,), {"skipped": skipped, "histories": histories})

    def load(file: BinaryIO, **kwargs: Any) -> Any:
        return unpickler(file, **kwargs).load()

    return SimpleNamespace(__name__="mmdataseg.checkpoints", Unpickler=unpickler, load=load, loads=_refuse)


def _refuse(*_: Any, **__: Any) -> None:
    raise pickle.UnpicklingError("a pickle inside a pickle is not read")
