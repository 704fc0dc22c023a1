"""The values of a folder of label maps, and the lines of a source that give them names."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdataseg.datasets import MultiSourceDataset
from tests.datasets.writing import write_image
from tests.layouts import load_tool

tool = load_tool("label_values.py")
FIRST = np.array([[0, 0, 2, 255], [0, 7, 7, 7]], np.uint8)
SECOND = np.array([[2, 2, 2, 2], [2, 2, 2, 2]], np.uint8)


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """Two label maps of 2 x 4 pixels, one in a folder of its own."""
    for name, values in (("a", FIRST), ("more/b", SECOND)):
        path = tmp_path / f"labels/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)
        write_image(tmp_path / f"images/{name}.jpg", 2, 4)
    return tmp_path / "labels"


def test_maps_and_pixels_are_counted(maps: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool.main([str(maps)])
    printed = capsys.readouterr()
    assert [line for line in printed.err.splitlines() if line.startswith("| ")][1:] == [
        "| 0 | 1 | 18.75 % |",
        "| 2 | 2 | 56.25 % |",
        "| 7 | 1 | 18.75 % |",
        "| 255 (unlabelled) | 1 | 6.25 % |",
    ]
    assert printed.out.splitlines() == [
        'label_space=dict(name="my_classes", classes=["class 0", "class 2", "class 7"], '
        "is_thing=[False, False, False]),",
        "# in the datasets of train and test:",
        'label_map={0: "class 0", 2: "class 2", 7: "class 7"},',
    ]


@pytest.mark.parametrize(
    ("ignored", "names"), [(255, ["sky", 'the "old" barn', "cow"]), (0, ["sky", 'the "old" barn', "cow"])]
)
def test_a_source_of_these_lines_reads_the_maps(
    maps: Path, ignored: int, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    tool.main([str(maps), "--ignore", str(ignored), "--names", *names, "--things", "cow", "--vocabulary", "farm"])
    first, *rest = capsys.readouterr().out.splitlines()
    written = eval(f"dict({first})")
    options = eval(f"dict({''.join(line for line in rest if not line.startswith('#'))})")
    assert written["label_space"]["is_thing"] == [False, False, True]
    steps = [{"type": f"mmdataseg.{step}"} for step in ("LoadImage", "LoadSemanticMap", "PackInputs")]
    data = {"type": "mmdataseg.SemanticSegDataset", "data_root": str(maps.parent), "img_dir": "images"}
    source = {"name": "farm", "task": "semantic", **written}
    source["train"] = {**data, "ann_dir": "labels", "pipeline": steps, **options}
    sample = MultiSourceDataset(sources=[source], split="train")[0]["data_samples"]
    values = [value for value in np.unique(FIRST).tolist() if value != ignored]
    order = [value for value in [0, 2, 7, 255] if value != ignored]
    assert sample.gt_instances.labels.tolist() == [order.index(value) for value in values]
    assert ((sample.gt_id_map.data[0].numpy() < 0) == (ignored == FIRST)).all()


def test_values_in_order_need_no_label_map(maps: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.where(FIRST == 7, 1, FIRST).astype(np.uint8)).save(maps / "a.png")
    tool.main([str(maps), "--names", "sky", "cow", "barn"])
    assert capsys.readouterr().out.splitlines() == [
        'label_space=dict(name="my_classes", classes=["sky", "cow", "barn"], is_thing=[False, False, False]),'
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["labels", "--names", "a", "b"], "--names: expected 3 names for the values [0, 2, 7], got 2"),
        (["labels", "--names", "a", "b", "a"], "--names: 'a' appears twice"),
        (["labels", "--things", "cow"], "--things: 'cow' is not among the classes ['class 0', 'class 2', 'class 7']"),
        (["labels", "--suffix", ".tif"], "no file in 'labels' ends in .tif"),
        (["nowhere"], "folder of label maps 'nowhere' does not exist"),
        (["images", "--suffix", ".jpg"], "is saved as JPEG, which changes values"),
        (["coloured"], "coloured/x.png': has colours; expected one channel of labels"),
        (["many"], "many/x.png': the maps up to this one have more than 1000 values"),
    ],
)
def test_mistakes_are_named(
    maps: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(maps.parent)
    for name, values in (("coloured", np.zeros((2, 2, 3), np.uint8)), ("many", np.arange(1200, dtype=np.uint16))):
        Path(name).mkdir()
        Image.fromarray(values.reshape(2, -1) if name == "many" else values).save(f"{name}/x.png")
    with pytest.raises(SystemExit) as exit_info:
        tool.main(arguments)
    assert exit_info.value.code == 1
    assert message in capsys.readouterr().err
