"""Converting to COCO panoptic, in runs that resume."""

import json

import numpy as np
import pytest

from mmdataseg.errors import UserError
from mmdataseg.formats.coco_panoptic import PanopticSegments
from mmdataseg.formats.panoptic_conversion import PanopticImage, convert_panoptic


def test_an_interrupted_run_continues(tmp_path):
    """The journal holds what is finished; a line that was cut short does not count."""
    images = [PanopticImage(image_id=i, file_name=f"{i}.jpg", png=f"{i}.png") for i in range(4)]
    converted = []

    def convert(image, stop_at=None):
        if image.image_id == stop_at:
            raise KeyboardInterrupt
        converted.append(image.image_id)
        return PanopticSegments(ids=np.full((2, 3), image.image_id + 1, np.int32), categories={image.image_id + 1: 7})

    arguments = {
        "categories": [{"id": 7, "name": "cat", "isthing": 1}],
        "json_file": tmp_path / "out/a.json",
        "png_dir": tmp_path / "out/a",
        "description": "test",
    }
    with pytest.raises(KeyboardInterrupt):
        convert_panoptic(images, convert=lambda image: convert(image, stop_at=2), **arguments)
    assert not (tmp_path / "out/a.json").exists()
    journal = tmp_path / "out/a.json.journal"
    assert len(journal.read_text().splitlines()) == 2
    journal.write_text(journal.read_text() + '{"image": {"id": 2, "fi')
    assert convert_panoptic(images, convert=convert, **arguments) == 2
    assert converted == [0, 1, 2, 3]
    content = json.loads((tmp_path / "out/a.json").read_text())
    assert [image["id"] for image in content["images"]] == [0, 1, 2, 3]
    assert content["annotations"][2] == {
        "image_id": 2,
        "file_name": "2.png",
        "segments_info": [{"id": 3, "category_id": 7, "area": 6, "bbox": [0, 0, 3, 2], "iscrowd": 0}],
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "a.json"]
    assert convert_panoptic(images, convert=convert, **arguments) == 0
    with pytest.raises(UserError, match=r"a\.json': the file exists with other categories, .*choose another output"):
        convert_panoptic(images, convert=convert, **{**arguments, "categories": []})
