import json
import shlex
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmdataseg.errors import UserError
from mmdataseg.structures import LabelSpace
from mmdataseg.text.embeddings import (
    TextEmbeddings,
    encoder_mismatch,
    load_embeddings,
    read_metadata,
    save_embeddings,
)
from mmdataseg.text.hashing import HashingEncoder
from mmdataseg.text.prompts import ClassPrompt
from mmdataseg.text.recipe import EncoderInfo

TEST = EncoderInfo(library="test")
SPACE = LabelSpace("garage", ("car", "bike", "Tool_box"), (True, True, True))


def make(matrix=None, classes=SPACE.classes, **kwargs):
    matrix = torch.eye(3, 4) if matrix is None else matrix
    kwargs = {"encoder": TEST, "templates": ("a photo of a {}",), "vocabulary": "garage"} | kwargs
    return TextEmbeddings(matrix=matrix, classes=classes, **kwargs)


def rewrite(path, *, rows=None, drop=(), **metadata):
    """Change a file in a way that our programs do not."""
    kept = {k: v for k, v in (read_metadata(path) | metadata).items() if k not in drop}
    save_file({"embeddings": load_file(path)["embeddings"] if rows is None else rows}, path, metadata=kept)


@pytest.fixture
def path(tmp_path):
    return save_embeddings(tmp_path / "new" / "garage.safetensors", make())


def test_writing_and_reading_keeps_the_rows_in_float16_and_all_text(tmp_path):
    matrix = torch.nn.functional.normalize(torch.randn(3, 64, generator=torch.Generator().manual_seed(0)), dim=1)
    prompts = (ClassPrompt(("car", "auto")), ClassPrompt(("bike",)), ClassPrompt((), ("Holds “tools”.",)))
    saved = make(matrix, prompts=prompts)
    loaded = load_embeddings(save_embeddings(tmp_path / "a.safetensors", saved), label_space=SPACE, dim=64)
    torch.testing.assert_close(loaded.matrix, matrix, atol=1e-3, rtol=0)
    torch.testing.assert_close(loaded.matrix.norm(dim=1), torch.ones(3))
    assert loaded.matrix.dtype == torch.float32
    for field in ("classes", "encoder", "templates", "prompts", "vocabulary", "recipe", "dim"):
        assert getattr(loaded, field) == getattr(saved, field)


def test_the_file_is_float16_and_its_metadata_is_plain_json(path):
    metadata = read_metadata(path)
    assert load_file(path)["embeddings"].dtype == torch.float16
    assert json.loads(metadata["classes"]) == list(SPACE.classes)
    assert metadata["format_version"] == "2"
    assert json.loads(metadata["encoder"]) == asdict(TEST)
    assert metadata["sha256"] == make().recipe.sha256
    assert [p.name for p in path.parent.iterdir()] == ["garage.safetensors"]


@pytest.mark.parametrize(
    "change",
    [
        {"encoder": EncoderInfo(library="other")},
        {"templates": ("{}",)},
        {"classes": ("car", "bike", "box")},
        {"vocabulary": "other"},
        {"prompts": tuple(ClassPrompt((c,)) for c in SPACE.classes)},
        {"matrix": torch.eye(3, 5)},
    ],
)
def test_the_recipe_changes_with_everything_that_determines_the_rows(change):
    assert make(**change).recipe.sha256 != make().recipe.sha256


def test_a_phrase_and_a_description_give_different_recipes():
    as_phrase = make(prompts=(ClassPrompt(("x",)),) * 3)
    as_description = make(prompts=(ClassPrompt((), ("x",)),) * 3)
    assert as_phrase.recipe.sha256 != as_description.recipe.sha256


@pytest.mark.parametrize(
    ("matrix", "match"),
    [
        (torch.eye(2, 4), r"one row for each of 3 classes, got embeddings of shape \(2, 4\)"),
        (torch.ones(3), r"shape \(3,\)"),
        (torch.eye(3, 4) * torch.tensor([[1.0], [float("nan")], [1.0]]), "class 'bike' has values that are NaN"),
        (torch.eye(3, 4) * torch.tensor([[1.0], [1.0], [0.9]]), r"got 0.9 for class 'Tool_box' \(1 of 3 rows"),
    ],
)
def test_a_matrix_that_cannot_be_a_classifier_is_refused(matrix, match):
    with pytest.raises(UserError, match=match):
        make(matrix)


def test_there_must_be_one_prompt_for_each_class():
    with pytest.raises(UserError, match="prompts for each of 3 classes, got 1"):
        make(prompts=(ClassPrompt(("car",)),))


def test_a_missing_file_names_source_and_command(tmp_path):
    path = tmp_path / "no.safetensors"
    with pytest.raises(FileNotFoundError) as error:
        load_embeddings(path, label_space=LabelSpace("ade150", ("wall",), (False,)), source="ade")
    assert str(error.value) == (
        f"source 'ade': text embeddings {path}: no such file; "
        f"build them with: python tools/text_embeddings.py ade150 --out {path}"
    )


def test_the_command_for_a_missing_file_says_which_dimension_the_model_expects(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"--out .*no\.safetensors \(the model expects 768 dimensions\)$"):
        load_embeddings(tmp_path / "no.safetensors", label_space=SPACE, dim=768)


@pytest.mark.parametrize(
    ("classes", "match"),
    [
        (
            ("car", "bike", "box"),
            "the file has other classes than label space 'garage'; .* row 2: 'box', expected 'Tool_box'",
        ),
        (("car", "bike"), "the file has 2 classes.* row 2: no more classes, expected 'Tool_box'"),
        (("car", "bike", "Tool_box", "jack"), "the file has 4 classes.* row 3: 'jack', expected no more classes"),
        (("bike", "car", "Tool_box"), "in another order: row 0 is 'bike', expected 'car'"),
    ],
)
def test_other_classes_are_refused_and_the_first_that_differs_is_named(tmp_path, classes, match):
    path = save_embeddings(tmp_path / "a.safetensors", make(torch.eye(len(classes), 4), classes))
    with pytest.raises(UserError, match=match) as error:
        load_embeddings(path, label_space=SPACE, source="mine")
    assert str(error.value).startswith(f"source 'mine': '{path}': ")
    assert f"text_embeddings.py --names car bike Tool_box --vocabulary garage --out {path} --force" in str(error.value)


def test_another_dimension_is_refused(path):
    with pytest.raises(UserError, match=r"expected 512 dimensions, got 4 \(encoder: test\)"):
        load_embeddings(path, dim=512)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"rows": torch.full((3, 4), float("nan"), dtype=torch.float16)}, "class 'car' has values that are NaN"),
        ({"rows": 2 * torch.eye(3, 4, dtype=torch.float16)}, "expected rows of unit length, got 2 for class 'car'"),
        ({"rows": torch.eye(3, 4, dtype=torch.float16).flip(0)}, "the matrix changed after the file was written"),
        (
            {"encoder": json.dumps(asdict(EncoderInfo(library="CLIP")))},
            "the metadata changed after the file was written",
        ),
        ({"encoder": "CLIP"}, "metadata 'encoder' is not valid JSON"),
        ({"encoder": '{"library": "test"}'}, "expected an encoder as an object with the fields"),
        ({"prompts": "[1]"}, "expected pairs of phrases and descriptions"),
        ({"prompts": '[[["a"], ["b"], ["c"]]]'}, "expected pairs of phrases and descriptions"),
        ({"format_version": "1"}, "expected format version 2, got '1'; .* must be built again"),
        ({"classes": "car, bike"}, "metadata 'classes' is not valid JSON"),
        ({"templates": '"{}"'}, "metadata 'templates' to be a JSON list, got str"),
        ({"drop": ("encoder",)}, "'encoder' is missing"),
    ],
)
def test_a_file_that_was_changed_is_refused(path, change, match):
    rewrite(path, **change)
    with pytest.raises(UserError, match=match) as error:
        load_embeddings(path, label_space=SPACE)
    assert str(path) in str(error.value)
    assert "build them with" in str(error.value)


def test_a_file_without_metadata_is_refused(path):
    save_file({"embeddings": torch.eye(3, 4)}, path)
    with pytest.raises(UserError, match=r"expected the metadata .*, but 'format_version' is missing"):
        load_embeddings(path)


def test_a_file_without_the_tensor_is_refused(path):
    save_file({"rows": torch.eye(3, 4)}, path, metadata=read_metadata(path))
    with pytest.raises(UserError, match=r"a tensor named 'embeddings', got \['rows'\]"):
        load_embeddings(path)


@pytest.mark.parametrize("content", [b"", b"not a tensor in sight"])
def test_a_file_of_another_format_is_refused(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a safetensors file, or incomplete"):
        load_embeddings(path)


def test_a_file_cut_short_is_refused(path):
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(UserError, match="not a safetensors file, or incomplete"):
        load_embeddings(path)


def test_a_stand_in_is_announced_once_and_a_real_encoder_is_not(tmp_path, warnings_of_stand_in):
    real = save_embeddings(tmp_path / "real.safetensors", make())
    stand_in = save_embeddings(tmp_path / "hashing.safetensors", make(encoder=HashingEncoder.info))
    assert not load_embeddings(real).is_stand_in
    assert warnings_of_stand_in == []
    for _ in range(2):
        assert load_embeddings(stand_in, source="toy").is_stand_in
    (message,) = warnings_of_stand_in  # once, not for every source
    assert "from the hashing encoder, which compares the words of class names but knows no meanings" in message


def test_all_sources_must_have_the_same_encoder():
    openai = EncoderInfo(library="open_clip", model="ViT-L-14", weights="openai")
    imported = EncoderInfo(library="", model="x", imported=True)
    assert encoder_mismatch({}) is None
    assert encoder_mismatch({"a": HashingEncoder.info, "b": HashingEncoder.info, "c": imported}) is None
    # imported rows fit any encoder, so comparing with the first source is not enough
    found = encoder_mismatch({"a": imported, "b": HashingEncoder.info, "c": openai})
    assert found.startswith("sources 'b' and 'c': their text embeddings are from different encoders or weights")
    assert "'hashing (stand-in)' and 'open_clip ViT-L-14 openai'" in found
    assert "tools/text_embeddings.py --force" in found


def test_the_command_of_a_remedy_can_be_pasted(tmp_path):
    path, space = tmp_path / "my garage" / "x.safetensors", LabelSpace("my garage", ("red car",), (True,))
    with pytest.raises(FileNotFoundError) as error:
        load_embeddings(path, label_space=space)
    command = shlex.split(str(error.value).partition("build them with: ")[2])
    expected = ["python", "tools/text_embeddings.py", "--names", "red car", "--vocabulary", "my garage", "--out"]
    assert command[: len(expected) + 1] == [*expected, str(path)]
