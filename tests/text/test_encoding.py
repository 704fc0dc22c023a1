from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from mmdataseg.errors import UserError
from mmdataseg.text.encoding import embed_classes, embed_prompts, find_encoder, import_matrix
from mmdataseg.text.hashing import HashingEncoder
from mmdataseg.text.open_clip import OpenClipEncoder
from mmdataseg.text.prompts import ClassPrompt
from mmdataseg.text.recipe import EncoderInfo
from tests.text.tiny_clip import make_tiny_clip
from tests.tolerances import SUMS

LAION = EncoderInfo(library="open_clip", model="ViT-B-32", weights="laion2b_s34b_b79k")
OPENAI = EncoderInfo(library="open_clip", model="ViT-L-14", weights="openai", quick_gelu=True)


class CountingEncoder:
    """Puts each text on the axis of its first letter, and keeps the batches that it got."""

    info = EncoderInfo(library="letters")
    dim = 3

    def __init__(self):
        self.batches = []

    def __call__(self, texts):
        self.batches.append(list(texts))
        return torch.stack([torch.eye(3)["abc".index(text[0])] for text in texts])


def test_templates_phrases_and_descriptions_are_averaged_in_two_steps():
    # Phrase "x": templates "a x", "a x." and "b x" give (2, 1, 0) / sqrt(5); description "c" gives (0, 0, 1).
    # Their mean, normalised: (2 / sqrt(5), 1 / sqrt(5), 1) / sqrt(2).
    prompts = [ClassPrompt(("x",), ("c",)), ClassPrompt((), ("b",))]
    rows = embed_prompts(CountingEncoder(), prompts, templates=("a {}", "a {}.", "b {}"))
    torch.testing.assert_close(rows, torch.tensor([[0.632456, 0.316228, 0.707107], [0, 1, 0]]), **SUMS)


def test_a_synonym_has_the_same_weight_as_the_name():
    encoder = HashingEncoder(dim=64)
    rows = embed_prompts(encoder, [ClassPrompt(("sofa", "big couch"))], templates=("{}",))
    sofa, couch = encoder(["sofa", "big couch"])
    torch.testing.assert_close(rows[0], normalize(sofa + couch, dim=0))


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_batches_do_not_change_the_rows(batch_size):
    prompts = [ClassPrompt((f"thing {i}", f"object {i}"), (f"It is the {i}th.",)) for i in range(5)]
    templates = ("a photo of {article} {}", "{}")
    expected = embed_prompts(HashingEncoder(dim=16), prompts, templates=templates)
    rows = embed_prompts(HashingEncoder(dim=16), prompts, templates=templates, batch_size=batch_size)
    torch.testing.assert_close(rows, expected)


def test_the_encoder_gets_batches_of_the_requested_size():
    encoder = CountingEncoder()
    embed_prompts(encoder, [ClassPrompt(("x",))] * 3, templates=("a {}", "b {}"), batch_size=4)
    assert encoder.batches == [["a x", "b x", "a x", "b x"], ["a x", "b x"]]


def test_no_class_gives_no_row():
    assert embed_prompts(CountingEncoder(), [], templates=("{}",)).shape == (0, 3)


def test_a_batch_size_of_zero_is_refused():
    with pytest.raises(UserError, match="batch size of at least 1, got 0"):
        embed_prompts(CountingEncoder(), [ClassPrompt(("a",))], templates=("{}",), batch_size=0)


def test_classes_are_embedded_by_their_phrases_and_kept_by_their_names():
    encoder = HashingEncoder(dim=64)
    found = embed_classes(encoder, ["Wine_Glass", "floor-other-merged"], vocabulary="two")
    torch.testing.assert_close(found.matrix, encoder(["wine glass", "floor"]))
    assert found.classes == ("Wine_Glass", "floor-other-merged")
    assert found.prompts == (ClassPrompt(("wine glass",)), ClassPrompt(("floor",)))
    assert (found.encoder, found.templates, found.vocabulary) == (HashingEncoder.info, ("{}",), "two")


def test_imported_rows_are_scaled_to_unit_length(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, np.array([[3.0, 4.0], [0.0, 0.5]], dtype=np.float16))
    found = import_matrix(path, ["a", "b"], encoder="CLIP", vocabulary="ab", templates=("a photo of a {}",))
    torch.testing.assert_close(found.matrix, torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    assert (found.encoder, found.prompts) == (EncoderInfo(library="", model="CLIP", imported=True), ())


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (np.ones((3, 2)), r"one row for each of 2 classes, got shape \(3, 2\)"),
        (np.array([[1.0, 0.0], [0.0, 0.0]]), "got 0 for class 'b'"),
        (np.array([[np.inf, 0.0], [0.0, 1.0]]), "class 'a' has values that are NaN or infinite"),
        (np.array([{"a": 1}]), "expected a .npy file of numbers"),
        (np.array(["x", "y"]), "expected a .npy file of numbers"),
    ],
)
def test_rows_that_cannot_be_a_classifier_are_refused(tmp_path, rows, match):
    path = tmp_path / "rows.npy"
    np.save(path, rows)
    with pytest.raises(UserError, match=match) as error:
        import_matrix(path, ["a", "b"], encoder="CLIP")
    assert str(path) in str(error.value)


def test_a_missing_file_of_rows_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.npy': no such file"):
        import_matrix(tmp_path / "no.npy", ["a"], encoder="CLIP")


def test_the_encoder_of_a_file_is_found_again():
    found = find_encoder(HashingEncoder.info, dim=8)
    assert (type(found), found.dim) == (HashingEncoder, 8)
    found = find_encoder(LAION, dim=512)
    assert (found.model, found.pretrained, found.quick_gelu) == ("ViT-B-32", "laion2b_s34b_b79k", False)
    found = find_encoder(OPENAI, dim=768)
    assert found.info == OPENAI


def test_an_encoder_with_weights_from_a_file_is_found_by_their_sha256(tmp_path):
    tiny = make_tiny_clip(tmp_path, name="tiny-found")
    info = OpenClipEncoder(model=tiny.model, pretrained=str(tiny.weights), quick_gelu=True).info
    moved = tiny.weights.rename(tmp_path / "elsewhere.pt")
    found = find_encoder(info, dim=16, pretrained=str(moved))
    assert (found.model, found.quick_gelu) == (tiny.model, True)
    with pytest.raises(UserError, match="weights from a file; give that file as pretrained"):
        find_encoder(info, dim=16)
    assert find_encoder(replace(info, weights="a (1).pt"), dim=16, pretrained=str(moved)).model == tiny.model
    with pytest.raises(UserError, match=r"elsewhere\.pt': has the weights .* were made by"):
        find_encoder(replace(info, weights_sha256="0" * 64), dim=16, pretrained=str(moved))


def test_an_encoder_that_is_not_ours_cannot_be_found():
    info = EncoderInfo(library="", model="CLIP ViT-B/16", imported=True)
    with pytest.raises(UserError, match=r"'CLIP ViT-B/16 \(imported\)', which is not an open_clip encoder; embed them"):
        find_encoder(info, dim=512)
    with pytest.raises(UserError, match="'other ViT-B-32', which is not an open_clip encoder"):
        find_encoder(EncoderInfo(library="other", model="ViT-B-32"), dim=512)


def test_a_file_replaces_a_tag_that_cannot_be_fetched(tmp_path):
    weights = tmp_path / "model.pt"
    weights.touch()
    found = find_encoder(OPENAI, dim=768, pretrained=str(weights), device="cpu")
    assert (found.pretrained, found.quick_gelu, found.device.type) == (str(weights), True, "cpu")


def test_weights_for_an_encoder_without_weights_are_refused():
    with pytest.raises(
        FileNotFoundError, match="laion2b_e16': no such file; expected the weights of 'open_clip ViT-B-32"
    ):
        find_encoder(LAION, dim=512, pretrained="laion2b_e16")  # a tag
    with pytest.raises(UserError, match=r"x\.pt': 'hashing \(stand-in\)' has no weights; leave pretrained out"):
        find_encoder(HashingEncoder.info, dim=8, pretrained="x.pt")


def test_own_words_of_the_stand_in_are_announced(warnings_of_stand_in):
    """A model's checkpoint has its embeddings, so that no file of them is read."""
    HashingEncoder(dim=8)
    assert warnings_of_stand_in == [], "to make the encoder is not to use its embeddings"
    find_encoder(HashingEncoder.info, dim=8)
    assert len(warnings_of_stand_in) == 1
