"""COCO's JSON, written one entry at a time."""

import json

import pytest

from mmdataseg.formats.json_files import write_coco_json


@pytest.mark.parametrize("annotations", [[{"id": 1, "é": [1, 2]}, {"id": 2}], [], None])
def test_the_text_is_that_of_json(tmp_path, annotations):
    images, categories = [{"id": 7}], [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]
    path = tmp_path / "new/coco.json"
    write_coco_json(path, images=iter(images), annotations=annotations and iter(annotations), categories=categories)
    content = {"images": images, "annotations": annotations, "categories": categories}
    assert path.read_text() == json.dumps({key: value for key, value in content.items() if value is not None})
    assert [file.name for file in path.parent.iterdir()] == ["coco.json"]


def test_a_file_is_whole_or_not_there(tmp_path):
    def broken():
        yield {"id": 1}
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write_coco_json(tmp_path / "coco.json", images=broken(), annotations=None, categories=[])
    assert list(tmp_path.iterdir()) == []
