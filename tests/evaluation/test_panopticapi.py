"""Panoptic quality of files against panopticapi, where it is installed; it is not on the package index."""

import contextlib
import io
import json

import numpy as np
import pytest

from mmdataseg.evaluation.panoptic_files import PanopticFiles, panoptic_quality_of_files
from tests.datasets.writing import id_to_rgb, write_json, write_png

evaluation = pytest.importorskip("panopticapi.evaluation", reason="panopticapi is not installed")

CATEGORIES = [{"id": k, "name": f"class {k}", "isthing": int(k < 4)} for k in (1, 2, 3, 5, 9)]
SIZE = (24, 32)


def random_segments(rng, *, true):
    """Rectangles over void, of ids up to 2^24 - 1; in the truth, some are crowds, also several of one class."""
    ids, numbers = np.zeros(SIZE, dtype=np.int64), rng.choice(2**24 - 1, 7, replace=False) + 1
    for number in numbers:
        top, left = rng.integers(0, SIZE[0] - 4), rng.integers(0, SIZE[1] - 4)
        ids[top : top + rng.integers(4, 20), left : left + rng.integers(4, 26)] = number
    classes = rng.choice([c["id"] for c in CATEGORIES], len(numbers))
    return ids, [
        {"id": int(number), "category_id": int(k), "iscrowd": int(true and rng.random() < 0.3), "area": int(area)}
        for number, k in zip(numbers, classes, strict=True)
        if (area := (ids == number).sum())
    ]


def moved(rng, ids, segments):
    """The truth shifted by a few pixels, with some other classes, so that many segments match."""
    ids = np.roll(ids, tuple(rng.integers(-3, 4, 2)), (0, 1))
    ids[:, : rng.integers(0, 5)] = 0
    present = set(np.unique(ids).tolist())
    kept = [s for s in segments if s["id"] in present]
    return ids, [
        {"id": s["id"], "category_id": int(rng.choice([s["category_id"]] * 3 + [1, 5])), "iscrowd": 0} for s in kept
    ]


def write(root, side, segments_of_images):
    annotations, images = [], []
    for number, (ids, segments) in enumerate(segments_of_images):
        write_png(root / side / f"{number}.png", id_to_rgb(ids))
        images.append({"id": number, "file_name": f"{number}.jpg", "height": SIZE[0], "width": SIZE[1]})
        annotations.append({"image_id": number, "file_name": f"{number}.png", "segments_info": segments})
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    return write_json(root / f"{side}.json", content)


@pytest.mark.parametrize("seed", range(20))
def test_quality_of_all_things_and_stuff_is_panopticapis(seed, tmp_path):
    rng = np.random.default_rng(seed)
    truth = [random_segments(rng, true=True) for _ in range(6)]
    found = [moved(rng, *segments) if rng.random() < 0.8 else random_segments(rng, true=False) for segments in truth]
    files = [write(tmp_path, side, images) for side, images in (("truth", truth), ("found", found))]
    contents = [json.loads(file.read_text()) for file in files]
    pairs = list(zip(*(content["annotations"] for content in contents), strict=True))
    categories = {category["id"]: category for category in CATEGORIES}
    with contextlib.redirect_stdout(io.StringIO()):
        counts = evaluation.pq_compute_single_core(0, pairs, *(str(file.with_suffix("")) for file in files), categories)
    ours = panoptic_quality_of_files(*(PanopticFiles(file=file) for file in files))
    for name, things in (("", None), ("_th", True), ("_st", False)):
        theirs = counts.pq_average(categories, isthing=things)[0]
        for quality in ("pq", "sq", "rq"):
            assert ours[quality.upper() + name] == pytest.approx(100 * theirs[quality], abs=1e-9)
