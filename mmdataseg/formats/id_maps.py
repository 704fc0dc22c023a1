"""Converts the ids on disk to the id map and its segment table, by look-up tables.

The id map is (H, W) int32. It holds each pixel's row of the segment table, or -1 (void). All conventions on disk
are converted to it here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmdataseg.errors import UserError
from mmdataseg.formats.categories import UNKNOWN
from mmdataseg.formats.coco_values import id_column
from mmdataseg.ops.id_map import VOID
from mmdataseg.ops.run_lengths import map_of_runs, run_starts


@dataclass(frozen=True)
class Segments:
    """The annotation of an image: an id map and a segment table of N rows.

    Args:
        id_map: (H, W) int32, rows of the table; -1 is void.
        labels: (N,) int64, the label of each row.
        is_crowd: (N,) bool, whether each row is a crowd region.
    """

    id_map: np.ndarray
    labels: np.ndarray
    is_crowd: np.ndarray


def label_table(
    num_values: int,
    num_classes: int | None,
    *,
    zero_is_void: bool,
    ignore_index: int | None,
    label_map: Mapping[int, int] | None = None,
) -> np.ndarray:
    """Return the look-up table of a label PNG that numbers its classes in the order of the label space.

    The steps are those of mmseg's loader, so its data infos (``reduce_zero_label``, ``label_map``) have the same
    meaning here.

    Args:
        num_values: Size of the table: 256 for 8 bits, 65536 for 16 bits.
        num_classes: K; None: unknown, every value is a class.
        zero_is_void: 0 is unlabelled and class k is stored as k + 1. Otherwise class k is stored as k.
        ignore_index: Another value on disk that is void; None: no such value.
        label_map: Label -> label, applied last. A target equal to ``ignore_index`` is void.

    Returns:
        (num_values,) int32 labels; `VOID` or `UNKNOWN` for values without a class.
    """
    table = np.arange(num_values, dtype=np.int32) - int(zero_is_void)
    if label_map is not None:
        mapped = table.copy()
        for old, new in label_map.items():
            mapped[table == old] = VOID if new == ignore_index or new < 0 else new
        table = mapped
    if num_classes is not None:
        table[table >= num_classes] = UNKNOWN
    if zero_is_void:
        table[0] = VOID
    if ignore_index is not None and 0 <= ignore_index < num_values:
        table[ignore_index] = VOID
    return table


def segments_of_label_png(label_png: np.ndarray, table: np.ndarray) -> Segments:
    """Return the segments of a label PNG: one row per class, in the order of the labels.

    Args:
        label_png: (H, W) unsigned values on disk.
        table: (V,) int32 from `label_table`.

    Raises:
        UserError: A value has no class.
    """
    large = label_png.size and int(label_png.max()) > np.iinfo(np.uint16).max  # one bin per value would take gigabytes
    values = np.unique(label_png) if large else np.flatnonzero(np.bincount(label_png.ravel()))
    unknown = values[values >= len(table)]
    inside = values[values < len(table)]
    unknown = np.concatenate([inside[table[inside] == UNKNOWN], unknown])
    if unknown.size:
        raise UserError(f"values {unknown[:5].tolist()} have no class in the label space")
    labels = np.unique(table[inside])
    labels = labels[labels >= 0]
    # One extra entry, which index -1 (void) reads.
    row_of_label = np.full(int(table.max()) + 2, VOID, np.int32)
    row_of_label[labels] = np.arange(len(labels), dtype=np.int32)
    row_of_value = row_of_label[np.maximum(table, VOID)]
    return Segments(row_of_value[label_png], labels.astype(np.int64), np.zeros(len(labels), bool))


def segments_of_panoptic_png(
    id_png: np.ndarray,
    *,
    ids: Sequence[int],
    labels: Sequence[int],
    is_thing: Sequence[bool],
    is_crowd: Sequence[bool],
    merge: str,
) -> Segments:
    """Return the segments of a panoptic PNG. Ids are looked up once per run (see `mmdataseg.ops.run_lengths`).

    Args:
        id_png: (H, W) segment ids on disk; 0 is unlabelled.
        ids: Segment ids in the JSON.
        labels: Their labels; -1: void by the label map.
        is_thing: Whether their class is a thing.
        is_crowd: Whether they are crowd regions.
        merge: ``none``: rows as annotated, with crowd regions. ``stuff``: one row per thing segment and per stuff
            class. ``all``: one row per class. With the last two, crowd regions are void.

    Raises:
        UserError: An id appears twice, is in only one of PNG and JSON, or has more than 64 bits.
    """
    try:
        listed = id_column(ids, "id")
    except ValueError as error:
        raise UserError(f"the JSON has a segment id that cannot be used ({error})") from None
    order = np.argsort(listed, kind="stable")
    known = np.concatenate([[0], listed[order]])
    if len(np.unique(known)) != len(known):
        twice = known[1:][known[1:] == known[:-1]]
        raise UserError(
            f"expected distinct, positive segment ids, but the JSON has {int(twice[0])} twice (0 is unlabelled)"
        )
    starts = run_starts(id_png)
    found, index = np.unique(id_png.ravel()[starts], return_inverse=True)
    unlisted = found[~np.isin(found, known)]
    if unlisted.size:
        raise UserError(f"the PNG has segment ids {unlisted[:5].tolist()} that are not in the JSON")
    absent = known[1:][~np.isin(known[1:], found)]
    if absent.size:
        raise UserError(f"the JSON has segment ids {absent[:5].tolist()} that are not in the PNG")
    rows, row_labels, row_is_crowd = _rows(labels, is_thing, is_crowd, merge)
    row_of_known = np.concatenate([[VOID], rows[order]]).astype(np.int32)
    row_of_found = row_of_known[np.searchsorted(known, found)]
    return Segments(map_of_runs(row_of_found[index], starts, id_png.shape), row_labels, row_is_crowd)


def _rows(
    labels: Sequence[int], is_thing: Sequence[bool], is_crowd: Sequence[bool], merge: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the row of each segment (or -1), and the label and crowd flag of each row."""
    rows = np.full(len(labels), VOID, np.int32)
    row_labels: list[int] = []
    row_is_crowd: list[bool] = []
    row_of_class: dict[int, int] = {}
    for index, (label, thing, crowd) in enumerate(zip(labels, is_thing, is_crowd, strict=True)):
        if label < 0 or (crowd and merge != "none"):
            continue
        merged = merge == "all" or (merge == "stuff" and not thing)
        row = row_of_class.get(label) if merged else None
        if row is None:
            row = len(row_labels)
            row_labels.append(int(label))
            row_is_crowd.append(bool(crowd))
            if merged:
                row_of_class[label] = row
        rows[index] = row
    return rows, np.asarray(row_labels, np.int64), np.asarray(row_is_crowd, bool)
