"""Pascal Context: MATLAB matrices to label PNGs, of 459 classes and of the frequent 59."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from mmdataseg.errors import UserError
from mmdataseg.text.vocabularies import get_label_space
from tests import layouts


def test_pascal_context_59_keeps_the_frequent_ones_by_name():
    tool = layouts.load_tool("dataset_converters/pascal_context.py")
    table = tool.table_59()
    small, large = get_label_space("pascal_context59").classes, get_label_space("pascal_context459").classes
    assert np.count_nonzero(table) == 59
    assert table[0] == 0
    for label, name in enumerate(large, 1):
        assert table[label] == (small.index(name) + 1 if name in small else 0)
    # ids of the dataset's labels.txt, as in other converters: aeroplane 2, bag 9, wood 458
    assert table[[1, 2, 9, 458]].tolist() == [0, 1, 2, 59]


def test_pascal_context_writes_the_matrices(world):
    layouts.write_layout("pascal_context", world)
    root = world / "data/VOCdevkit/VOC2010"
    tool = layouts.load_tool("dataset_converters/pascal_context.py")
    names = (root / "ImageSets/SegmentationContext/val.txt").read_text().split()
    assert len(names) == layouts.VAL_IMAGES
    for name in names:
        labels = tool.read_labels(root / f"trainval/{name}.mat")
        assert labels.max() <= 459
        assert (np.asarray(Image.open(root / f"SegmentationClassContext459/{name}.png")) == labels).all()
        small = np.asarray(Image.open(root / f"SegmentationClassContext/{name}.png"))
        assert small.dtype == np.uint8
        assert (small == tool.table_59()[labels]).all()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"Labels": np.zeros((2, 2))}, "has no matrix LabelMap of numbers; is it"),
        ({"LabelMap": np.zeros((2, 2, 3))}, "has no matrix LabelMap of numbers; is it"),
        ({"LabelMap": np.zeros((0, 2))}, "has no matrix LabelMap of numbers; is it"),
        ({"LabelMap": np.array([["a", "b"]], object)}, "has no matrix LabelMap of numbers; is it"),
        ({"LabelMap": np.array([[1, np.nan]])}, "labels nan to nan, expected 0 to 459; unpack it again"),
        ({"LabelMap": np.array([[1, 460]])}, "labels 1 to 460, expected 0 to 459; unpack it again"),
    ],
)
def test_a_file_that_is_not_a_label_map_ends_in_one_sentence(tmp_path, content, match):
    tool = layouts.load_tool("dataset_converters/pascal_context.py")
    savemat(tmp_path / "a.mat", content)
    with pytest.raises(UserError, match=f"^'.*a.mat': {match}"):
        tool.read_labels(tmp_path / "a.mat")


def test_a_list_of_names_that_is_not_text_ends_in_one_sentence(world):
    layouts.write_layout("pascal_context", world)
    root = world / "data/VOCdevkit/VOC2010"
    (root / "ImageSets/Main/val.txt").write_bytes(b"2008_000002\xff\n")
    with pytest.raises(SystemExit, match=r"val\.txt': not valid UTF-8 .*; save it as UTF-8"):
        layouts.convert("pascal_context", "--root", root)
