"""Compile parts of the network by torch.compile."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from mmdataseg.errors import UserError

# The pixel decoder is left out: its attention reads sizes on the host, so torch compiles it in pieces, anew for each
# size, and nothing was gained (docs/benchmarks.md).
PARTS = ("backbone", "neck")


def compile_parts(model: nn.Module, settings: Mapping[str, Any]) -> None:
    """Let ``torch.compile`` compile parts of a model in place, each at its first call.

    The names of the parameters stay as they are, so that checkpoints fit with and without compilation. Copies and
    pickles of the model are not compiled.

    Args:
        model: The model, a `DaTaSeg`.
        settings: ``parts``, a list of names among `PARTS`; the other values are arguments of ``torch.compile``, such as
            ``mode`` and ``dynamic``.

    Raises:
        UserError: The settings have no list of parts that the model has; or torch refuses the other values, or cannot
            compile with this version of Python.
    """
    options = dict(settings) if isinstance(settings, Mapping) else {}
    parts, known = options.pop("parts", None), [name for name in PARTS if hasattr(model, name)]
    if not isinstance(parts, list | tuple) or not parts or not set(parts) <= set(known):
        raise UserError(
            f"model.compile: expected dict(parts=[...]) with parts among {known}, got {settings!r}",
            remedy="correct it, or leave it out",
        )
    for name in parts:
        try:
            model.get_submodule(name).compile(**options)
        except (RuntimeError, TypeError) as error:
            raise UserError(f"model.compile: {error}", remedy="correct it, or leave it out") from error


@contextmanager
def naming_missing_compiler() -> Iterator[None]:
    """Say what to do if torch finds no C++ compiler, which it needs for a CPU, at the first call of a part.

    Raises:
        UserError: There is none.
    """
    try:
        yield
    except RuntimeError as error:
        if not _lacks_compiler(error):
            raise
        raise UserError(
            "model.compile: torch found no C++ compiler",
            remedy="install g++, name one in CXX, or leave model.compile out",
        ) from error


def _lacks_compiler(error: RuntimeError) -> bool:
    # torch has no public name for this type, and its message may change
    return type(getattr(error, "inner_exception", None)).__name__ == "InvalidCxxCompiler"
