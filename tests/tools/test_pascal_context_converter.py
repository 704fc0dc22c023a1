"""Pascal Context: MATLAB matrices to label PNGs, of 459 classes and of the frequent 59."""

import numpy as np
from PIL import Image

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
