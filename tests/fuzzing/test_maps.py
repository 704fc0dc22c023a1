"""Label maps and panoptic maps with their JSON."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmdataseg.datasets.panoptic_seg import PanopticSegDataset
from mmdataseg.datasets.transforms import LoadPanopticMap
from mmdataseg.errors import UserError
from mmdataseg.formats.coco_panoptic import id_to_rgb
from mmdataseg.formats.id_maps import label_table, segments_of_label_png
from mmdataseg.formats.png import decode_png
from tests.fuzzing.strategies import entries, mostly, spoilt_bytes, spoilt_text

IDS = st.sampled_from([1, 2, 300, 70_000])
LABELS = {1: 0, 2: 1, 3: 2}
SPACE = {"classes": ("car", "bike", "sky"), "is_thing": (True, True, False)}


def png(values: np.ndarray) -> bytes:
    encoded = BytesIO()
    Image.fromarray(values).save(encoded, format="PNG")
    return encoded.getvalue()


@given(
    st.lists(st.integers(0, 5), min_size=12, max_size=12),
    st.integers(1, 5),
    st.booleans(),
    st.sampled_from([None, 0, 3, 255]),
    st.sampled_from([np.uint8, np.uint16]),
)
def test_label_maps(values: list[int], classes: int, zero_is_void: bool, ignored: int | None, dtype: type) -> None:
    stored = np.array(values, dtype).reshape(3, 4)
    read = decode_png(png(stored), path="map.png", what="map", remedy="")
    assert (read == stored).all()
    table = label_table(256, classes, zero_is_void=zero_is_void, ignore_index=ignored)
    expected = []
    for value in values:
        void = value == ignored or (zero_is_void and value == 0)
        expected.append(-1 if void else value - zero_is_void)
    try:
        found = segments_of_label_png(read, table)
    except UserError:
        assert max(expected) >= classes
        return
    assert max(expected) < classes
    assert [-1 if row < 0 else found.labels[row] for row in found.id_map.ravel()] == expected
    assert found.labels.tolist() == sorted(set(expected) - {-1})


@given(st.data())
def test_damaged_pngs_are_refused_or_give_an_array(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from([(3, 4), (3, 4, 3)]))
    content = data.draw(spoilt_bytes(png(np.arange(np.prod(shape), dtype=np.uint8).reshape(shape))))
    try:
        found = decode_png(content, path="map.png", what="map", remedy="fetch it again")
    except UserError:
        return
    assert found.ndim in (2, 3)
    assert found.dtype.kind in "iu"


@st.composite
def panoptic_files(draw: st.DrawFn) -> tuple[bytes, np.ndarray]:
    """Draw the JSON of one image, and its map of segment ids."""
    ids = np.array(draw(st.lists(st.one_of(st.just(0), IDS), min_size=12, max_size=12)), np.int32).reshape(3, 4)
    spoilt = draw(st.booleans())
    present = sorted(set(ids.ravel().tolist()) - {0})
    segments = [
        draw(
            entries(
                {"id": st.just(number), "category_id": st.integers(1, 3), "iscrowd": st.sampled_from([0, 0, 1])},
                spoilt=spoilt,
            )
        )
        for number in present
    ]
    image = {"id": st.just(1), "file_name": st.just("a.jpg"), "height": st.just(3), "width": st.just(4)}
    annotation = {"image_id": st.just(1), "file_name": st.just("a.png"), "segments_info": st.just(segments)}
    names = zip(LABELS, SPACE["classes"], SPACE["is_thing"], strict=True)
    category = [{"id": number, "name": name, "isthing": int(thing)} for number, name, thing in names]
    content = {
        "images": [draw(entries(image, spoilt=spoilt))],
        "annotations": [draw(entries(annotation, spoilt=spoilt))],
        "categories": draw(mostly(st.just(category))) if spoilt else category,
    }
    return draw(spoilt_text(content)), ids


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    Image.new("RGB", (4, 3)).save(folder / "a.jpg")
    return folder


@given(panoptic_files())
def test_panoptic_maps(folder: Path, drawn: tuple[bytes, np.ndarray]) -> None:
    (folder / "panoptic.json").write_bytes(drawn[0])
    (folder / "a.png").write_bytes(png(id_to_rgb(drawn[1])))
    try:
        dataset = PanopticSegDataset(
            ann_file="panoptic.json", img_dir=".", ann_dir=".", data_root=str(folder), metainfo=SPACE
        )
        info: Any = {**dataset.get_data_info(0), "task": "panoptic", "ori_shape": (3, 4)}
        results = LoadPanopticMap()(info)
    except (UserError, FileNotFoundError):
        return
    segments = json.loads(drawn[0].decode("utf-8-sig"))["annotations"][0]["segments_info"] or []
    labels, things = {}, {}
    for segment in segments:
        crowd = str(segment.get("iscrowd") or 0).strip().lower() in ("1", "1.0", "true")
        label = LABELS[int(segment["category_id"])]
        labels[int(segment["id"])] = -1 if crowd else label
        things[int(segment["id"])] = int(segment["id"]) if SPACE["is_thing"][label] else -label
    rows = results["gt_seg_map"]
    for number, row in zip(drawn[1].ravel().tolist(), rows.ravel().tolist(), strict=True):
        expected = labels[number] if number else -1
        assert (results["gt_segment_labels"][row] if row >= 0 else -1) == expected
    kept = [number for number in np.unique(drawn[1]).tolist() if number and labels[number] >= 0]
    assert len(set(rows.ravel().tolist()) - {-1}) == len({things[number] for number in kept})
