"""COCO instance files: the reader for training (columns) and the reader for the metric (whole file)."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdataseg.errors import UserError
from mmdataseg.formats.coco_instances import read_instance_table
from mmdataseg.formats.mask_annotations import read_mask_annotations
from tests.fuzzing.strategies import entries, spoilt_text

CLASSES = ("car", "bike")
IDS = st.integers(0, 3)
RLE = {"size": [4, 5], "counts": [3, 7, 10]}


@st.composite
def files(draw: st.DrawFn) -> tuple[Any, bytes]:
    spoilt = draw(st.booleans())
    images = entries(
        {
            "id": IDS,
            "file_name": st.sampled_from(["a.jpg", "b.jpg", "c/d.jpg"]),
            "height": st.just(4),
            "width": st.just(5),
        },
        spoilt=spoilt,
    )
    annotations = entries(
        {
            "id": st.integers(0, 9),
            "image_id": IDS,
            "category_id": st.integers(1, 2),
            "bbox": st.tuples(*[st.floats(0, 5, width=32)] * 4).map(list),
            "iscrowd": st.sampled_from([0, 1]),
            "area": st.floats(0, 20),
            "segmentation": st.sampled_from([RLE, [[0, 0, 3, 0, 3, 3]], [0, 0, 3, 0, 3, 3]]),
        },
        spoilt=spoilt,
    )
    categories = st.just([{"id": 1, "name": "car"}, {"id": 2, "name": " bike "}])
    content = {
        "images": draw(st.lists(images, max_size=3)),
        "annotations": draw(st.lists(annotations, max_size=4)),
        "categories": draw(categories),
    }
    return content, draw(spoilt_text(content))


def slow_boxes(content: Any) -> list[tuple[int, int, tuple[float, ...], bool]]:
    """Return the image id, label, clipped xyxy box and crowd flag of each annotation with a valid box, sorted."""
    sizes = {int(image["id"]): (int(image["height"]), int(image["width"])) for image in content["images"]}
    found = []
    for annotation in content["annotations"]:
        height, width = sizes[int(annotation["image_id"])]
        numbers = [math.nan if v is None else float(np.float32(v)) for v in annotation["bbox"]]
        x, y = numbers[:2]
        right, bottom = (float(np.float32(a) + np.float32(b)) for a, b in zip(numbers[:2], numbers[2:], strict=True))
        if not all(map(math.isfinite, (x, y, right, bottom))) or right <= x or bottom <= y:
            continue
        box = (min(max(x, 0), width), min(max(y, 0), height), min(max(right, 0), width), min(max(bottom, 0), height))
        if box[2] <= box[0] or box[3] <= box[1]:
            continue
        crowd = str(annotation.get("iscrowd", 0)).strip().lower() in ("1", "1.0", "true")
        found.append((int(annotation["image_id"]), int(annotation["category_id"]) - 1, box, crowd))
    return sorted(found)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "instances.json"


@given(files())
def test_columns_are_what_a_slow_reader_finds(path: Path, drawn: tuple[Any, bytes]) -> None:
    path.write_bytes(drawn[1])
    try:
        table = read_instance_table(path, classes=CLASSES, drop_bad_boxes=True)
    except UserError:
        return
    content = json.loads(drawn[1].decode("utf-8-sig"))
    for key in ("images", "annotations"):  # readers skip entries that are null
        content[key] = [entry for entry in content[key] if entry is not None]
    found = [
        (int(table.image_ids[image]), i["bbox_label"], tuple(i["bbox"]), bool(i["ignore_flag"]))
        for image in range(len(table))
        for i in table.instances(image)
    ]
    assert sorted(found) == slow_boxes(content)
    names = [str(image["file_name"]).replace("\\", "/") for image in content["images"]]
    assert [table.name(image) for image in range(len(table))] == names


@given(files())
def test_masks_for_training_and_scoring_agree(path: Path, drawn: tuple[Any, bytes]) -> None:
    path.write_bytes(drawn[1])
    try:
        scored = read_mask_annotations(path)
    except UserError:
        scored = None
    try:
        table = read_instance_table(path, classes=CLASSES, with_masks=True, drop_bad_boxes=True)
    except UserError:
        return
    if scored is None:
        return
    ids = {image["id"] for image in scored["images"]}
    assert ids == set(table.image_ids.tolist())
    assert len(scored["annotations"]) == len(table.boxes) + table.count("bad")
    assert all(annotation["iscrowd"] in (0, 1) for annotation in scored["annotations"])
