"""The count of what a training step keeps for its backward pass."""

import pytest
import torch
from torch import nn

from tests import layouts
from tools.benchmarks import saved


class Small(nn.Module):
    """Parts of the names that are counted, so small that their bytes are known."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(4, 8)
        self.panoptic_head = nn.Sequential()
        self.panoptic_head.pixel_decoder = nn.Sigmoid()
        self.criterion = nn.Identity()

    def loss(self, images: torch.Tensor, _: list) -> torch.Tensor:
        return self.criterion(self.panoptic_head(self.backbone(images))).square().sum()


def test_bytes_by_hand():
    """The linear layer keeps its input, the sigmoid its output, which the square keeps, too; weights do not count."""
    found = saved.saved_bytes(Small(), (torch.randn(10, 4, requires_grad=True), []))
    assert found == {"backbone": 10 * 4 * 4, "panoptic_head.pixel_decoder": 10 * 8 * 4}


def test_a_larger_image_keeps_more_and_bfloat16_less(repo_root, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = repo_root / "projects/toy/configs/dataseg_toy_3ds.py"
    model = saved.build(config, "cpu")
    small, large, half = (
        saved.saved_bytes(model, saved.sample(model, "toy_panoptic", size, 3, "cpu"), bfloat16=bfloat16)
        for size, bfloat16 in ((64, False), (128, False), (128, True))
    )
    assert set(small) == {*saved.PARTS, "rest"}
    assert 3.5 < large["backbone"] / small["backbone"] < 4.5
    assert half["backbone"] < large["backbone"]
    layouts.load_tool("benchmark.py").main(["saved", str(config), "--size", "64", "--targets", "2"])
    assert "kept for the backward pass" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [(["none.py"], "none.py: no such config"), ([__file__, "--size", "0"], "must be at least 1")],
)
def test_wrong_arguments_are_refused(words, message, capsys):
    with pytest.raises(SystemExit):
        layouts.load_tool("benchmark.py").main(["saved", *words])
    assert message in capsys.readouterr().err


def test_an_unknown_source_is_refused(repo_root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = str(repo_root / "projects/toy/configs/dataseg_toy_3ds.py")
    with pytest.raises(SystemExit, match="--source nothing: expected one of"):
        layouts.load_tool("benchmark.py").main(["saved", config, "--source", "nothing"])
