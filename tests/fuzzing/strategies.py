"""Strategies for the values in a file: mostly right ones, mixed with wrong ones."""

import json
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.sampled_from([2**31, 2**40, 2**63, -(2**63) - 1, 10**30, 10**400, 1e308, -0.0, 0.5, float("nan"), float("inf")]),
    st.sampled_from(["", " ", "0", "1", "7", "-1", "true", "x", "a\\b.png", "\ud800", "\0", "é", "é", "1e3", "٣", "²"]),
    st.lists(st.integers(-2, 9), max_size=5),
    st.dictionaries(st.sampled_from(["id", "size", "counts"]), st.integers(-2, 9), max_size=2),
)
"""Values that are wrong in most fields."""


def mostly(right: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Draw a right value in nine of ten cases, else an odd one."""
    return st.integers(0, 9).flatmap(lambda draw: ODD if draw == 0 else right)


@st.composite
def entries(draw: st.DrawFn, fields: dict[str, SearchStrategy[Any]], *, spoilt: bool) -> Any:
    """Draw an object with these fields. If spoilt, some fields are odd or missing, or it is not an object at all."""
    if spoilt and draw(st.integers(0, 40)) == 0:
        return draw(ODD)
    found = {}
    for key, right in fields.items():
        if not (spoilt and draw(st.integers(0, 40)) == 0):
            found[key] = draw(mostly(right) if spoilt else right)
    return found


@st.composite
def spoilt_text(draw: st.DrawFn, content: Any) -> bytes:
    """Draw a JSON file: unchanged in four of five cases, else with some bytes cut, changed or repeated."""
    text = json.dumps(content).encode()
    return draw(spoilt_bytes(text)) if draw(st.integers(0, 4)) == 0 else text


@st.composite
def spoilt_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw a file with a few bytes changed, cut off, removed or repeated."""
    spoilt = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(spoilt) - 1)))
        kind = draw(st.sampled_from(["change", "cut", "drop", "repeat"]))
        if kind == "change" and spoilt:
            spoilt[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del spoilt[at:]
        elif kind == "drop":
            del spoilt[at : at + draw(st.integers(1, 8))]
        else:
            spoilt[at:at] = spoilt[at : at + draw(st.integers(1, 8))]
    return bytes(spoilt)


def masks(height: int, width: int) -> SearchStrategy[np.ndarray]:
    """Draw a mask, (H, W) bool."""
    bits = st.lists(st.booleans(), min_size=height * width, max_size=height * width)
    return bits.map(lambda found: np.array(found, bool).reshape(height, width))
