import argparse
import logging
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger
from safetensors.torch import save_file
from torch import Tensor

from mmdataseg.models.backbones.vit_checkpoint import (
    LoadReport,
    load_vit_checkpoint,
    rename,
    resize_position_embedding,
    resize_relative_positions,
)
from mmdataseg.models.backbones.vitdet import ViTDet

DIM, DEPTH, HIDDEN = 16, 3, 64
RELATIVE = {f"blocks.{i}.attn.rel_pos_{axis}" for i in range(DEPTH) for axis in "hw"}


def build(img_size: int = 64) -> ViTDet:
    """A tiny ViTDet whose native grid has 4 x 4 tokens."""
    arch = {"embed_dim": DIM, "depth": DEPTH, "num_heads": 2}
    return ViTDet(arch=arch, img_size=img_size, window_size=3, out_channels=8)


def mae_state(side: int = 2) -> dict[str, Tensor]:
    """Random weights under the names of the encoder in MAE's published checkpoints, for a grid of side x side
    tokens."""
    torch.manual_seed(0)
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, DIM),
        "pos_embed": (1, 1 + side * side, DIM),
        "patch_embed.proj.weight": (DIM, 3, 16, 16),
        "patch_embed.proj.bias": (DIM,),
    }
    for i in range(DEPTH):
        for name, rows, columns in (
            ("attn.qkv", 3 * DIM, DIM),
            ("attn.proj", DIM, DIM),
            ("mlp.fc1", HIDDEN, DIM),
            ("mlp.fc2", DIM, HIDDEN),
        ):
            shapes |= {f"blocks.{i}.{name}.weight": (rows, columns), f"blocks.{i}.{name}.bias": (rows,)}
        shapes |= {f"blocks.{i}.norm{n}.{kind}": (DIM,) for n in (1, 2) for kind in ("weight", "bias")}
    shapes |= {"norm.weight": (DIM,), "norm.bias": (DIM,)}
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def in_mmpretrain_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights as mmpretrain's MAE checkpoints name them."""
    pairs = (
        ("patch_embed.proj.", "patch_embed.projection."),
        ("blocks.", "layers."),
        (".norm1.", ".ln1."),
        (".norm2.", ".ln2."),
        (".mlp.fc1.", ".ffn.layers.0.0."),
        (".mlp.fc2.", ".ffn.layers.1."),
    )
    renamed = {}
    for name, value in state.items():
        new = name.replace("norm.", "ln1.") if name.startswith("norm.") else name
        for old, other in pairs:
            new = new.replace(old, other)
        renamed["backbone." + new] = value
    return renamed


def save(state: object, path: Path) -> Path:
    torch.save(state, path)
    return path


class TestMAE:
    def test_the_report_of_a_mae_checkpoint(self, tmp_path: Path) -> None:
        vit = build().vit
        state = mae_state()
        path = save({"model": state}, tmp_path / "mae.pth")
        report = load_vit_checkpoint(vit, path)
        kept = set(state) - {"cls_token", "norm.weight", "norm.bias"}
        assert set(report.missing) == RELATIVE
        assert set(report.loaded) == kept == set(vit.state_dict()) - RELATIVE
        assert report.resized == (("pos_embed", (1, 5, DIM), (1, 4, 4, DIM)),)
        assert report.dropped == ("cls_token", "norm.bias", "norm.weight")
        assert report.unexpected == ()
        assert not report.surprising
        for name in kept - {"pos_embed"}:
            assert torch.equal(vit.state_dict()[name], state[name])
        assert not any(vit.state_dict()[name].any() for name in RELATIVE)

    def test_class_token_is_not_in_the_grid(self, tmp_path: Path) -> None:
        state = mae_state(side=4)
        state["pos_embed"][:, 0] = 1e6
        vit = build().vit
        load_vit_checkpoint(vit, save(state, tmp_path / "mae.pth"))
        assert torch.equal(vit.pos_embed.reshape(1, 16, DIM), state["pos_embed"][:, 1:])

    def test_a_file_with_mmpretrains_names_loads(self, tmp_path: Path) -> None:
        state = mae_state()
        other = in_mmpretrain_names(state) | {"neck.decoder_embed.weight": torch.zeros(3, 3)}
        renamed, kind = rename(other)
        assert kind == "mmpretrain"
        assert set(renamed) - {"decoder.decoder_embed.weight"} == set(state)
        vit, twin = build().vit, build().vit
        report = load_vit_checkpoint(vit, save({"state_dict": other, "meta": {}}, tmp_path / "mmpretrain.pth"))
        load_vit_checkpoint(twin, save(state, tmp_path / "mae.pth"))
        assert set(report.missing) == RELATIVE
        assert report.dropped == ("cls_token", "decoder.decoder_embed.weight", "norm.bias", "norm.weight")
        assert not report.surprising
        assert all(torch.equal(vit.state_dict()[name], twin.state_dict()[name]) for name in report.loaded)

    def test_missing_and_unknown_parameters_are_logged(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        state = mae_state()
        del state["blocks.1.mlp.fc1.bias"]
        state["blocks.7.mlp.fc1.bias"] = torch.zeros(HIDDEN)
        vit = build().vit
        before = vit.state_dict()["blocks.1.mlp.fc1.bias"].clone()
        logger = MMLogger.get_current_instance()
        logger.addHandler(caplog.handler)
        try:
            report = load_vit_checkpoint(vit, save(state, tmp_path / "odd.pth"))
        finally:
            logger.removeHandler(caplog.handler)
        assert set(report.missing) == RELATIVE | {"blocks.1.mlp.fc1.bias"}
        assert report.unexpected == ("blocks.7.mlp.fc1.bias",)
        assert torch.equal(vit.state_dict()["blocks.1.mlp.fc1.bias"], before)
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "MISSING, newly initialised: blocks.1.mlp.fc1.bias" in record.getMessage()
        assert "UNEXPECTED, not used: blocks.7.mlp.fc1.bias" in record.getMessage()


class TestSAM:
    def test_a_file_of_timm_loads(self, tmp_path: Path) -> None:
        donor = build().vit
        torch.nn.init.normal_(donor.blocks[1].attn.rel_pos_h)
        path = tmp_path / "samvit.safetensors"
        save_file(donor.state_dict() | {"neck.0.weight": torch.zeros(2)}, path)
        vit = build().vit
        report = load_vit_checkpoint(vit, path)
        assert (report.missing, report.resized, report.unexpected) == ((), (), ())
        assert report.dropped == ("neck.0.weight",)
        assert all(torch.equal(value, donor.state_dict()[name]) for name, value in vit.state_dict().items())

    def test_a_file_with_sams_own_names_loads(self, tmp_path: Path) -> None:
        donor = build().vit
        state = {f"image_encoder.{k.replace('.mlp.fc', '.mlp.lin')}": v for k, v in donor.state_dict().items()}
        state["mask_decoder.iou_token.weight"] = torch.zeros(1)
        vit = build().vit
        report = load_vit_checkpoint(vit, save(state, tmp_path / "sam.pth"))
        assert report.kind == "SAM"
        assert (report.missing, report.unexpected) == ((), ())
        assert report.dropped == ("mask_decoder.iou_token.weight",)
        assert torch.equal(vit.blocks[2].mlp.fc2.weight, donor.blocks[2].mlp.fc2.weight)

    def test_positions_are_resized_for_another_image_size(self, tmp_path: Path) -> None:
        path = save(build(img_size=64).vit.state_dict(), tmp_path / "sam.pth")
        report = load_vit_checkpoint(build(img_size=96).vit, path)
        # Every block of three attends globally, so all tables grow from 2 * 4 - 1 to 2 * 6 - 1.
        tables = {(name, (7, 8), (11, 8)) for name in RELATIVE}
        assert set(report.resized) == {("pos_embed", (1, 4, 4, DIM), (1, 6, 6, DIM))} | tables


class TestResize:
    @pytest.mark.parametrize("with_class_token", [True, False])
    def test_a_linear_ramp_stays_linear(self, with_class_token: bool) -> None:
        # Cell i of n covers [i / n, (i + 1) / n]: f = 3y - 2x at the centres, exact where no weight falls off the edge.
        def ramp(side: int) -> Tensor:
            centres = (torch.arange(side) + 0.5) / side
            return 3 * centres[:, None] - 2 * centres[None, :]

        tokens = ramp(8).reshape(1, 64, 1).repeat(1, 1, 2)
        if with_class_token:
            tokens = torch.cat([torch.full((1, 1, 2), 99.0), tokens], dim=1)
        resized = resize_position_embedding(tokens, (32, 32))
        assert resized.shape == (1, 32, 32, 2)
        inside = slice(8, 24)
        torch.testing.assert_close(resized[0, inside, inside, 1], ramp(32)[inside, inside], atol=1e-5, rtol=0)

    def test_axes_are_not_swapped(self) -> None:
        rows = torch.arange(3.0)[None, :, None, None].expand(1, 3, 3, 1)
        resized = resize_position_embedding(rows, (3, 6))
        assert resized.shape == (1, 3, 6, 1)
        torch.testing.assert_close(resized[0, :, :, 0], torch.arange(3.0)[:, None].expand(3, 6))

    def test_half_precision_stays(self) -> None:
        assert resize_position_embedding(torch.ones(1, 4, 2).half(), (3, 3)).dtype == torch.float16

    @pytest.mark.parametrize("tokens", [0, 3, 6])
    def test_tokens_that_do_not_form_a_square_are_refused(self, tokens: int) -> None:
        with pytest.raises(ValueError, match=f"square grid.*got {tokens} tokens"):
            resize_position_embedding(torch.zeros(1, tokens, 2), (4, 4))

    def test_relative_positions_by_hand(self) -> None:
        # Length 3 -> 5: centres at 0.3, 0.9, 1.5, 2.1, 2.7 of three cells, less half a cell: -0.2 (edge), 0.4, 1, 1.6,
        # 2.2.
        table = torch.tensor([[0.0], [10.0], [30.0]])
        expected = torch.tensor([[0.0], [4.0], [10.0], [22.0], [30.0]])
        torch.testing.assert_close(resize_relative_positions(table, 5), expected)
        assert resize_relative_positions(table, 3) is table


class TestBadInput:
    def test_a_checkpoint_of_another_size_is_refused(self, tmp_path: Path) -> None:
        state = mae_state() | {"blocks.0.attn.qkv.weight": torch.zeros(6, 2)}
        path = save(state, tmp_path / "large.pth")
        with pytest.raises(
            ValueError, match=r"large\.pth': blocks\.0\.attn\.qkv\.weight has shape \(6, 2\).*\(48, 16\)"
        ):
            load_vit_checkpoint(build().vit, path)

    def test_a_checkpoint_of_another_network_is_refused(self, tmp_path: Path) -> None:
        path = save({"conv1.weight": torch.zeros(1)}, tmp_path / "resnet.pth")
        with pytest.raises(ValueError, match=r"resnet\.pth': no transformer block found.*got conv1\.weight"):
            load_vit_checkpoint(build().vit, path)

    def test_nothing_is_changed_by_a_file_that_does_not_fit(self, tmp_path: Path) -> None:
        vit = build().vit
        before = {name: value.clone() for name, value in vit.state_dict().items()}
        path = save(mae_state() | {"blocks.2.norm2.bias": torch.zeros(5)}, tmp_path / "torn.pth")
        with pytest.raises(ValueError, match="norm2"):
            load_vit_checkpoint(vit, path)
        assert all(torch.equal(value, before[name]) for name, value in vit.state_dict().items())

    def test_settings_beside_the_tensors_are_ignored(self, tmp_path: Path) -> None:
        """As in the published MAE files; tests/checkpoints tests what every reader refuses."""
        path = save({"model": mae_state(), "args": argparse.Namespace(lr=1)}, tmp_path / "full.pth")
        assert load_vit_checkpoint(build().vit, path).loaded

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="no such file"):
            load_vit_checkpoint(build().vit, tmp_path / "mae.pth")


def test_report_in_words() -> None:
    report = LoadReport(
        path="mae.pth",
        kind="MAE or timm",
        loaded=("a", "b"),
        resized=(("pos_embed", (1, 5, 2), (1, 4, 4, 2)),),
        dropped=("cls_token",),
        missing=("blocks.0.attn.rel_pos_h",),
        unexpected=(),
    )
    assert str(report).splitlines() == [
        "mae.pth (MAE or timm names): 2 parameters loaded",
        "  resized: pos_embed (1, 5, 2) -> (1, 4, 4, 2)",
        "  dropped, not needed: cls_token",
        "  missing, newly initialised: 1 relative positions",
    ]
