import hashlib
import logging
import sys
from dataclasses import replace

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from mmdataseg.errors import UserError
from mmdataseg.text import open_clip as ours
from mmdataseg.text.encoding import embed_classes
from mmdataseg.text.open_clip import OpenClipEncoder
from mmdataseg.text.recipe import EncoderInfo
from tests.text.tiny_clip import make_tiny_clip
from tests.tolerances import THROUGH_LAYERS

TEXTS = ["a photo of a dog", "a photo of a fire hydrant", "sky"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny_clip(tmp_path_factory.mktemp("clip"))


def encoder_of(tiny, **kwargs):
    return OpenClipEncoder(
        **{"model": tiny.model, "pretrained": str(tiny.weights), "quick_gelu": False, "device": "cpu"} | kwargs
    )


def test_encodes_as_open_clip_does(tiny):
    encoder = encoder_of(tiny)
    tokens = open_clip.get_tokenizer(tiny.model)(TEXTS)
    with torch.no_grad():
        expected = torch.nn.functional.normalize(tiny.network.encode_text(tokens), dim=1)
    rows = encoder(TEXTS)
    torch.testing.assert_close(rows, expected, **THROUGH_LAYERS)
    assert rows.dtype == torch.float32
    assert rows.shape == (3, encoder.dim)
    assert (rows[0] - rows[1]).abs().max() > 1e-3


def test_a_class_equals_that_of_open_clips_zero_shot_classifier(tiny):
    templates = ("a photo of a {}.", "the {}.", "{}")
    expected = open_clip.build_zero_shot_classifier(
        tiny.network, open_clip.get_tokenizer(tiny.model), ["dog", "wine glass"], templates
    )
    found = embed_classes(encoder_of(tiny), ["Dog", "wine_glass"], templates=templates)
    torch.testing.assert_close(found.matrix, expected.T, **THROUGH_LAYERS)


def test_safetensors_and_state_dict_are_the_same_weights(tiny, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({k: v.contiguous() for k, v in tiny.network.state_dict().items()}, path)
    torch.testing.assert_close(encoder_of(tiny, pretrained=str(path))(TEXTS), encoder_of(tiny)(TEXTS))


def test_a_file_is_named_with_its_hash_and_without_its_folder(tiny, tmp_path):
    other = tmp_path / tiny.weights.name
    other.write_bytes(tiny.weights.read_bytes() + b" ")
    infos = [encoder_of(tiny).info, encoder_of(tiny, pretrained=str(other)).info]
    digest = hashlib.sha256(tiny.weights.read_bytes()).hexdigest()
    expected = EncoderInfo(library="open_clip", model="tiny-clip", weights="tiny-clip.pt", weights_sha256=digest)
    assert infos[0] == expected
    assert str(infos[0]) == f"open_clip tiny-clip tiny-clip.pt (sha256 {digest[:16]})"
    assert not infos[0].fits(infos[1])
    quick = encoder_of(tiny, quick_gelu=True).info
    assert quick == replace(expected, quick_gelu=True)
    assert not quick.fits(expected)


def test_the_activation_is_that_of_the_weights(tiny):
    plain, quick = encoder_of(tiny, quick_gelu=False)(TEXTS), encoder_of(tiny, quick_gelu=True)(TEXTS)
    assert (plain - quick).abs().max() > 1e-4


def test_the_tag_determines_quick_gelu():
    assert OpenClipEncoder(model="ViT-L-14", pretrained="openai").quick_gelu
    assert not OpenClipEncoder(model="ViT-L-14", pretrained="laion2b_s32b_b82k").quick_gelu
    with pytest.raises(UserError, match="ViT-L-14 openai was trained with QuickGELU; leave --quick-gelu out"):
        OpenClipEncoder(model="ViT-L-14", pretrained="openai", quick_gelu=False)


def test_for_a_path_quick_gelu_must_be_given(tiny, tmp_path):
    weights = tmp_path / "openai.pt"
    weights.write_bytes(tiny.weights.read_bytes())
    with pytest.raises(UserError, match=r"openai\.pt': the file does not say .* --quick-gelu .* --no-quick-gelu"):
        encoder_of(tiny, pretrained=str(weights), quick_gelu=None)
    assert not encoder_of(tiny, pretrained=str(weights), quick_gelu=False).quick_gelu


def test_an_architecture_with_quick_gelu_needs_no_option(tiny):
    assert encoder_of(tiny, model="ViT-B-32-quickgelu", quick_gelu=None).quick_gelu


def test_the_default_is_the_papers_model_and_loads_nothing_yet():
    encoder = OpenClipEncoder()
    assert str(encoder.info) == "open_clip ViT-L-14 openai (quick_gelu)"
    assert encoder.dim == 768
    assert encoder([]).shape == (0, 768)
    assert "_network" not in vars(encoder)


def test_long_texts_are_announced(tiny, caplog):
    with caplog.at_level(logging.WARNING):
        encoder_of(tiny)(["dog " * 14, "cat " * 15])
    assert "15 tokens, cut off after 14: 'cat cat" in caplog.text
    assert "'dog" not in caplog.text


def test_unknown_model_and_tag_are_refused():
    with pytest.raises(UserError, match="unknown open_clip model 'ViT-L-15'"):
        OpenClipEncoder(model="ViT-L-15")
    with pytest.raises(UserError, match="unknown open_clip model 'hf-hub:some/model'"):
        OpenClipEncoder(model="hf-hub:some/model")
    with pytest.raises(UserError, match=r"ViT-L-14 has no weights 'opnai'.*'openai'"):
        OpenClipEncoder(pretrained="opnai")


def test_a_missing_checkpoint_is_named():
    with pytest.raises(FileNotFoundError, match=r"weights/clip\.pt': no such file"):
        OpenClipEncoder(pretrained="weights/clip.pt")


def test_weights_of_another_architecture_are_refused(tiny, tmp_path):
    other = make_tiny_clip(tmp_path, name="tiny-wide", embed_dim=24)
    encoder = encoder_of(tiny, model=other.model)
    with pytest.raises(UserError, match=r"(?s)tiny-clip\.pt': expected a checkpoint of open_clip's tiny-wide.*--model"):
        encoder(["dog"])


def test_a_checkpoint_that_would_run_code_is_refused(tiny, tmp_path):
    class Touch:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    path = tmp_path / "evil.pt"
    torch.save({"state_dict": {"text_projection": Touch()}}, path)
    with pytest.raises(UserError, match=r"evil\.pt': expected a checkpoint"):
        encoder_of(tiny, pretrained=str(path))(["dog"])
    assert not (tmp_path / "touched").exists()


def test_torchscript_is_refused(tiny, tmp_path):
    path = tmp_path / "script.pt"
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(str(path))
    with pytest.raises(UserError, match=r"script\.pt': is a TorchScript archive"):
        encoder_of(tiny, pretrained=str(path))(["dog"])


def test_missing_weights_offline_suggest_the_option_pretrained(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"(?s)weights 'openai' of ViT-L-14 are not in the .* --pretrained PATH"
    ):
        OpenClipEncoder()(["dog"])


def test_without_the_library_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ImportError, match="pip install open_clip_torch"):
        OpenClipEncoder()
    with pytest.raises(ImportError, match="pip install open_clip_torch"):
        ours.imagenet_templates()
