import json
from dataclasses import replace

import pytest

from mmdataseg.errors import UserError
from mmdataseg.text.prompts import ClassPrompt
from mmdataseg.text.recipe import EncoderInfo, TextRecipe, dump_json, require_same_recipe

TAG = EncoderInfo(library="open_clip", model="ViT-L-14", weights="openai", quick_gelu=True)
FILE = EncoderInfo(library="open_clip", model="ViT-L-14", weights="a.pt", weights_sha256="12ab" * 16)
IMPORTED = EncoderInfo(library="", model="CLIP ViT-L/14", imported=True)
RECIPE = TextRecipe(
    vocabulary="pair",
    encoder=TAG,
    templates=("a photo of a {}", "{}"),
    classes=("car", "bike"),
    prompts=(ClassPrompt(("car", "auto")), ClassPrompt(("bike",), ("Two wheels.",))),
    dim=768,
)


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        (TAG, replace(TAG), True),
        (TAG, replace(TAG, weights="laion2b_s32b_b82k"), False),
        (TAG, replace(TAG, quick_gelu=False), False),
        (TAG, replace(TAG, library="other"), False),
        (FILE, replace(FILE, weights="b (2).pt"), True),
        (FILE, replace(FILE, weights_sha256="12ac" * 16), False),
        (FILE, replace(FILE, quick_gelu=True), False),
        (FILE, replace(FILE, model="ViT-B-32"), False),
        (FILE, replace(FILE, weights_sha256=""), False),
        (EncoderInfo(library="hashing"), TAG, False),
        (IMPORTED, TAG, True),
        (IMPORTED, replace(IMPORTED, model="BERT"), True),
    ],
)
def test_encoders_are_compared_field_by_field(one, other, fits):
    assert one.fits(other) is fits
    assert other.fits(one) is fits


@pytest.mark.parametrize(
    ("info", "text"),
    [
        (TAG, "open_clip ViT-L-14 openai (quick_gelu)"),
        (FILE, "open_clip ViT-L-14 a.pt (sha256 12ab12ab12ab12ab)"),
        (IMPORTED, "CLIP ViT-L/14 (imported)"),
        (EncoderInfo(library="hashing"), "hashing (stand-in)"),
    ],
)
def test_the_text_of_an_encoder(info, text):
    assert str(info) == text


def test_a_recipe_is_unchanged_by_json():
    read = TextRecipe.from_json(json.loads(dump_json(RECIPE.to_json())))
    assert read == RECIPE
    assert read.sha256 == RECIPE.sha256


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"encoder": "open_clip ViT-L-14"}, "expected an encoder as an object with the fields"),
        ({"encoder": {**TAG.__dict__, "quick_gelu": 1}}, "field 'quick_gelu' of the encoder has the wrong type: got 1"),
        ({"encoder": {**TAG.__dict__, "more": 1}}, "expected an encoder as an object with the fields"),
        ({"prompts": [["car"]]}, "expected the recipe of text embeddings"),
        ({"prompts": [{"phrases": 1, "descriptions": []}]}, "expected pairs of phrases and descriptions"),
        ({"templates": None}, "expected the recipe of text embeddings"),
    ],
)
def test_a_recipe_of_another_form_is_refused(change, match):
    with pytest.raises(UserError, match=match):
        TextRecipe.from_json({**RECIPE.to_json(), **change})


@pytest.mark.parametrize("value", [None, [], {}, "recipe"])
def test_what_is_not_a_recipe_is_refused(value):
    with pytest.raises(UserError, match="expected the recipe of text embeddings"):
        TextRecipe.from_json(value)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"encoder": FILE}, r"different encoder: .*'open_clip ViT-L-14 openai.*', the checkpoint '.*a\.pt \(sha256"),
        ({"templates": ("{}",)}, r"different templates: .*'a photo of a \{\} and 1 more', the checkpoint '\{\}'"),
        ({"dim": 512}, "different dimension: .*'768', the checkpoint '512'"),
        ({"prompts": (ClassPrompt(("car",)), RECIPE.prompts[1])}, "different prompts of class 'car'.*auto"),
    ],
)
def test_a_checkpoint_of_another_recipe_is_refused_and_both_are_named(change, match):
    with pytest.raises(UserError, match=rf"^source 'pair': .*{match}.*; use the file .* another name$"):
        require_same_recipe("pair", config=RECIPE, checkpoint=replace(RECIPE, **change))


@pytest.mark.parametrize("change", [{}, {"encoder": IMPORTED}, {"prompts": ()}, {"vocabulary": "other"}])
def test_what_is_not_known_is_not_compared(change):
    require_same_recipe("pair", config=RECIPE, checkpoint=replace(RECIPE, **change))
    require_same_recipe("pair", config=replace(RECIPE, **change), checkpoint=RECIPE)
