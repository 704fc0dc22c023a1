"""Classification by text."""

import json
import math
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import load_state_dict
from safetensors.torch import save_file

from mmdataseg.errors import UserError
from mmdataseg.models import TextClassifier
from mmdataseg.sources import Source, build_sources
from mmdataseg.structures import LabelSpace, Task
from mmdataseg.text.embeddings import TextEmbeddings, load_embeddings, read_metadata, save_embeddings
from tests.models.classifiers.text_sources import AXES, MATRICES, OTHER, TEST, TWO, write
from tests.tolerances import CLASS_LOGITS


@pytest.fixture
def sources(tmp_path):
    return [write(tmp_path, AXES), write(tmp_path, TWO)]


@pytest.fixture
def classifier(sources):
    return TextClassifier(sources=sources, embed_dim=3)


def test_cosines_by_hand(classifier):
    with torch.no_grad():
        classifier.background.copy_(torch.tensor([0.0, 0.0, -5.0]))
        classifier.log_scale.fill_(math.log(10))
    logits = classifier(torch.tensor([3.0, 4.0, 0.0]), classifier.matrix("axes"))
    torch.testing.assert_close(logits, torch.tensor([6.0, 8.0, 0.0, 0.0]), **CLASS_LOGITS)
    logits = classifier(torch.tensor([[3.0, 0.0, -4.0]]), classifier.matrix("two"))
    torch.testing.assert_close(logits, torch.tensor([[-6.0, 0.0, 8.0]]), **CLASS_LOGITS)


def test_the_length_of_an_embedding_does_not_matter(classifier):
    embeds = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    text = classifier.matrix("axes")
    torch.testing.assert_close(classifier(7 * embeds, text), classifier(embeds, text), **CLASS_LOGITS)


def test_one_background_for_all_sources(classifier):
    embeds = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    backgrounds = [classifier(embeds, classifier.matrix(name))[:, -1] for name in ("axes", "two")]
    torch.testing.assert_close(*backgrounds, **CLASS_LOGITS)  # products of matrices of other widths
    assert [name for name, _ in classifier.named_parameters()] == ["background", "log_scale"]


def test_the_scale_starts_as_in_clip_and_is_at_most_a_hundred(classifier):
    right = torch.tensor([1.0, 0.0, 0.0])
    assert classifier(right, classifier.matrix("axes"))[0].item() == pytest.approx(1 / 0.07, rel=1e-5)
    classifier.eval()
    classifier.log_scale.data.fill_(50.0)
    assert classifier(right, classifier.matrix("axes"))[0].item() == pytest.approx(100, rel=1e-5)
    assert classifier.log_scale.item() == 50.0  # testing changes nothing


def test_the_scale_starts_by_the_cosines_of_the_sources_that_are_trained_on(sources, tmp_path):
    near = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]])  # cosine 0.6
    trained = replace(write(tmp_path, replace(TWO, name="near"), matrix=near), train={})
    start = TextClassifier(sources=[*sources, trained], embed_dim=3).log_scale.exp().item()
    assert start == pytest.approx(1 / 0.07 / 0.4, rel=1e-3)  # files have float16
    unnormalized = TextClassifier(sources=[trained], embed_dim=3, normalize=False)
    assert unnormalized.log_scale.item() == 0
    asked = TextClassifier(sources=[trained], embed_dim=3, initial_scale=20.0)
    assert asked.log_scale.exp().item() == pytest.approx(20)


def test_a_scale_at_its_cap_can_come_down_again(classifier):
    classifier.log_scale.data.fill_(6.0)
    optimizer = torch.optim.SGD(classifier.parameters(), lr=1e-2)
    logits = classifier(torch.tensor([1.0, 0.0, 0.0]), classifier.matrix("axes"))
    assert logits[0].item() == pytest.approx(100, rel=1e-5)
    logits[0].backward()
    optimizer.step()
    assert classifier(torch.tensor([1.0, 0.0, 0.0]), classifier.matrix("axes"))[0].item() < 99


def test_logits_are_float32_under_autocast(classifier):
    embeds = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    expected = classifier(embeds, classifier.matrix("axes"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = classifier(embeds, classifier.matrix("axes"))
    assert actual.dtype == torch.float32
    assert torch.equal(actual, expected)


def test_a_vocabulary_can_be_given_at_run_time(classifier):
    """A vocabulary is only its matrix: no source is needed."""
    text = torch.nn.functional.normalize(torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    assert classifier(torch.randn(4, 3), text).shape == (4, 7)


def test_a_checkpoint_is_complete_without_the_files(classifier, sources, tmp_path):
    embeds = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    expected = {s.name: classifier(embeds, classifier.matrix(s.name)) for s in sources}
    torch.save(classifier.state_dict(), tmp_path / "checkpoint.pth")
    for source in sources:
        Path(source.embeddings).unlink()
    rebuilt = TextClassifier(sources=sources, embed_dim=3)
    assert rebuilt.absent == ["axes", "two"]
    rebuilt.load_state_dict(torch.load(tmp_path / "checkpoint.pth", weights_only=True))
    rebuilt.check_complete()
    assert rebuilt.absent == []
    for name, logits in expected.items():
        assert torch.equal(rebuilt(embeds, rebuilt.matrix(name)), logits)
        assert rebuilt.recipe(name) == classifier.recipe(name)
        assert (rebuilt.recipe(name).encoder, rebuilt.recipe(name).templates) == (TEST, ("{}",))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"encoder": OTHER}, "different encoder: the config's file has 'other', the checkpoint 'test'"),
        (
            {"templates": ("a photo of {}",)},
            r"different templates: the config's file has 'a photo of \{\}', the checkpoint '\{\}'",
        ),
    ],
)
@pytest.mark.parametrize("load", ["torch", "mmengine"])
def test_a_checkpoint_with_another_recipe_than_the_file_is_refused(classifier, tmp_path, load, change, match):
    """Otherwise its rows would be used, and the file ignored, without a message."""
    path = tmp_path / "two.safetensors"
    save_embeddings(path, replace(load_embeddings(path), **change))
    rebuilt = TextClassifier(
        sources=[Source(name="two", task=Task.PANOPTIC, label_space=TWO, embeddings=str(path))], embed_dim=3
    )
    state = classifier.state_dict()
    with pytest.raises(UserError, match=f"^source 'two': .*{match}"):
        load_state_dict(rebuilt, state) if load == "mmengine" else rebuilt.load_state_dict(state, strict=False)


def test_mmengine_loads_the_recipes_with_the_rows(classifier, sources, tmp_path):
    torch.save({"state_dict": classifier.state_dict()}, tmp_path / "checkpoint.pth")
    for source in sources:
        Path(source.embeddings).unlink()
    rebuilt = TextClassifier(sources=sources, embed_dim=3)
    load_checkpoint(rebuilt, str(tmp_path / "checkpoint.pth"), map_location="cpu", strict=True)
    rebuilt.check_complete()
    for name in ("axes", "two"):
        assert rebuilt.recipe(name) == classifier.recipe(name)


def test_mmengines_average_of_weights_keeps_the_recipes(classifier):
    """Its hook copies and averages all values of a state dict, which must be tensors."""
    average = ExponentialMovingAverage(classifier, update_buffers=True)
    average.update_parameters(classifier)
    average.update_parameters(classifier)
    assert average.module.recipe("two") == classifier.recipe("two")


def test_mmengines_average_of_weights_takes_recipes_that_were_loaded_later(classifier, sources):
    """``EMAHook`` copies the model before a checkpoint is loaded, here one that has to bring all text embeddings."""
    files = [Path(source.embeddings) for source in sources]
    for file in files:
        file.rename(file.with_suffix(".away"))
    model = TextClassifier(sources=sources, embed_dim=3)
    average = ExponentialMovingAverage(model, update_buffers=True)
    for part in (model, average.module):
        load_state_dict(part, deepcopy(classifier.state_dict()), strict=True)
    average.update_parameters(model)
    assert average.module.absent == []
    assert average.module.recipe("axes") == classifier.recipe("axes")
    assert torch.equal(average.module.state_dict()["_extra_state"], classifier.state_dict()["_extra_state"])


@pytest.mark.parametrize("content", [b"[]", b"{}x", b'{"two": 1}', b'{"two": {"recipe": {}, "rows_sha256": ""}}'])
def test_recipes_that_cannot_be_read_are_refused(classifier, content):
    state = classifier.state_dict()
    state["_extra_state"] = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    with pytest.raises(UserError, match=r"recipes of text embeddings cannot be read .*; give a checkpoint that"):
        classifier.load_state_dict(state)


def test_a_source_that_only_the_checkpoint_has_is_ignored(classifier, sources):
    rebuilt = TextClassifier(sources=sources[:1], embed_dim=3)
    report = rebuilt.load_state_dict(classifier.state_dict(), strict=False)
    assert report.unexpected_keys == ["embeddings_two"]
    assert "two" not in json.loads(rebuilt.get_extra_state().numpy().tobytes())


def test_rows_from_a_checkpoint_without_recipe_are_saved_without_recipe(classifier, sources):
    """Rows that replaced those of a file are not saved with the file's recipe."""
    state = {name: value for name, value in classifier.state_dict().items() if name != "_extra_state"}
    state["embeddings_two"] = -state["embeddings_two"]
    rebuilt = TextClassifier(sources=sources, embed_dim=3)
    rebuilt.load_state_dict(state, strict=False)
    assert list(json.loads(rebuilt.get_extra_state().numpy().tobytes())) == ["axes"]


def test_the_recipe_of_a_checkpoint_without_one_cannot_be_read(classifier, sources):
    state = {name: value for name, value in classifier.state_dict().items() if name != "_extra_state"}
    Path(sources[1].embeddings).unlink()
    rebuilt = TextClassifier(sources=sources, embed_dim=3)
    rebuilt.load_state_dict(state, strict=False)
    assert rebuilt.matrix("two").shape == (2, 3)
    with pytest.raises(UserError, match=r"does not say which encoder .* put back the file .*: .*two\.safetensors"):
        rebuilt.recipe("two")


def test_embeddings_of_different_encoders_are_refused(sources):
    other = TextEmbeddings(matrix=MATRICES["two"], classes=TWO.classes, encoder=OTHER, vocabulary="two")
    save_embeddings(sources[1].embeddings, other)
    with pytest.raises(UserError, match=r"sources 'axes' and 'two': .* different encoders .* 'test' and 'other'"):
        TextClassifier(sources=sources, embed_dim=3)


def test_a_checkpoint_of_another_encoder_than_the_other_files_is_refused(classifier, tmp_path):
    third = replace(AXES, name="third")
    save_embeddings(
        tmp_path / "third.safetensors",
        TextEmbeddings(matrix=torch.eye(3), classes=third.classes, encoder=OTHER, vocabulary="third"),
    )
    source = Source(name="third", task=Task.PANOPTIC, label_space=third, embeddings=str(tmp_path / "third.safetensors"))
    state = classifier.state_dict()
    both = TextClassifier(
        sources=[replace(source, name="axes", label_space=AXES, embeddings="absent"), source], embed_dim=3
    )
    with pytest.raises(UserError, match=r"sources 'axes' and 'third': .* 'test' and 'other'"):
        both.load_state_dict(state, strict=False)


def test_the_recipe_of_a_file_is_used_only_for_its_own_rows(classifier, sources):
    state = {name: value for name, value in classifier.state_dict().items() if name != "_extra_state"}
    state["embeddings_two"] = -state["embeddings_two"]
    rebuilt = TextClassifier(sources=sources, embed_dim=3)
    rebuilt.load_state_dict(state, strict=False)
    assert rebuilt.recipe("axes") == classifier.recipe("axes")
    with pytest.raises(UserError, match="source 'two': the checkpoint does not say which encoder"):
        rebuilt.recipe("two")


def test_a_source_with_neither_file_nor_checkpoint_cannot_be_used(sources):
    Path(sources[1].embeddings).unlink()
    classifier = TextClassifier(sources=sources, embed_dim=3)
    message = r"source 'two': text embeddings .*two\.safetensors: no such file.*checkpoint.*tools/text_embeddings\.py"
    classifier.matrix("axes")  # what is there can be used
    with pytest.raises(FileNotFoundError, match=message):
        classifier.matrix("two")
    with pytest.raises(FileNotFoundError, match=message):
        classifier.check_complete()


def test_a_checkpoint_of_another_dimension_changes_nothing(classifier, sources):
    state = classifier.state_dict()
    state["embeddings_two"] = torch.zeros(2, 5)
    Path(sources[1].embeddings).unlink()
    rebuilt = TextClassifier(sources=sources, embed_dim=3)
    with pytest.raises(RuntimeError, match="size mismatch for embeddings_two"):
        rebuilt.load_state_dict(state)
    with pytest.raises(FileNotFoundError, match="source 'two'"):
        rebuilt.matrix("two")


def test_rows_of_another_dimension_do_not_change_the_recipe(classifier, sources):
    state = classifier.state_dict()
    other = TextEmbeddings(matrix=torch.eye(5)[:2], classes=TWO.classes, encoder=TEST, vocabulary="two")
    save_embeddings(sources[1].embeddings, other)
    rebuilt = TextClassifier(sources=[sources[1]], embed_dim=5)
    with pytest.raises(UserError, match="different dimension: the config's file has '5', the checkpoint '3'"):
        rebuilt.load_state_dict(state, strict=False)
    assert rebuilt.recipe("two") == other.recipe
    Path(sources[1].embeddings).unlink()
    rebuilt = TextClassifier(sources=[sources[1]], embed_dim=5)
    with pytest.raises(RuntimeError, match="size mismatch for embeddings_two"):
        rebuilt.load_state_dict(state, strict=False)
    with pytest.raises(FileNotFoundError, match="source 'two'"):
        rebuilt.recipe("two")


@pytest.mark.parametrize("classes", [("up", "right", "away"), ("right", "up", "far"), ("right", "up")])
def test_a_checkpoint_of_other_classes_is_refused(classifier, tmp_path, classes):
    """Otherwise its rows would be read with the wrong labels."""
    space = LabelSpace(name="axes", classes=classes, is_thing=(True,) * len(classes))
    other = TextClassifier(sources=[write(tmp_path, space, matrix=torch.eye(3)[: len(classes)])], embed_dim=3)
    with pytest.raises(
        UserError, match=r"source 'axes': the checkpoint holds text embeddings of other classes.*'axes'"
    ):
        other.load_state_dict(classifier.state_dict(), strict=False)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("up", "right", "away"), r"another order: row 0 is 'right', expected 'up'"),
        (("right", "up", "far"), r"row 2: 'away', expected 'far'"),
        (("right", "up"), r"the file has 3 classes, but label space 'axes' has 2"),
    ],
)
def test_a_file_of_other_classes_is_refused(sources, classes, message):
    space = LabelSpace(name="axes", classes=classes, is_thing=(True,) * len(classes))
    with pytest.raises(UserError, match=rf"source 'axes': '.*axes\.safetensors': .*{message}.*; build them with: "):
        TextClassifier(sources=[replace(sources[0], label_space=space)], embed_dim=3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((0.0, float("nan"), 0.0), "the embedding of class 'up' has values that are NaN or infinite"),
        ((0.0, 0.75, 0.0), "expected rows of unit length, got 0.75 for class 'up'"),
    ],
)
def test_a_file_with_rows_that_are_not_unit_vectors_is_refused(sources, row, message):
    path = sources[0].embeddings
    rows = torch.eye(3)
    rows[1] = torch.tensor(row)
    save_file({"embeddings": rows.half()}, path, metadata=read_metadata(path))
    with pytest.raises(UserError, match=message) as raised:
        TextClassifier(sources=sources, embed_dim=3)
    assert str(raised.value).startswith(f"source 'axes': '{path}': ")
    assert "; build them with: python tools/text_embeddings.py " in str(raised.value)


def test_a_file_of_another_dimension_is_refused(sources):
    with pytest.raises(
        UserError, match=r"source 'axes': '.*axes\.safetensors': expected 5 dimensions, got 3.*; build them with: "
    ):
        TextClassifier(sources=sources, embed_dim=5)


def test_a_source_without_embeddings_is_refused(sources):
    with pytest.raises(UserError, match=r"source 'axes': embeddings is not set.*tools/text_embeddings\.py.*'axes'"):
        TextClassifier(sources=[replace(sources[0], embeddings=None)], embed_dim=3)


def test_an_unknown_source_is_refused(classifier):
    with pytest.raises(UserError, match=r"has no source 'three'; it was built with \['axes', 'two'\]"):
        classifier.matrix("three")


def test_no_source_and_two_sources_with_the_same_name_are_refused(sources):
    with pytest.raises(UserError, match="at least one source, got none"):
        TextClassifier(sources=[], embed_dim=3)
    with pytest.raises(UserError, match="source name 'axes' appears 2 times"):
        TextClassifier(sources=[sources[0], *build_sources(sources)], embed_dim=3)


# ---- new words
