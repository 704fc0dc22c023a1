import pytest

from mmdataseg.errors import UserError
from mmdataseg.text.templates import fill_template, get_templates, known_template_sets


@pytest.mark.parametrize(
    ("name", "count"), [("name", 1), ("single", 1), ("vild14", 14), ("vild63", 63), ("imagenet80", 80)]
)
def test_sets_have_their_published_sizes(name, count):
    templates = get_templates([name])
    assert name in known_template_sets()
    assert len(set(templates)) == count
    assert all(t.count("{}") == 1 for t in templates)


def test_all_sets_are_covered():
    assert set(known_template_sets()) == {"name", "single", "vild14", "vild63", "imagenet80"}


def test_vild_14_are_those_of_mmseg():
    from mmseg.utils.get_templates import get_predefined_templates

    assert [fill_template(t, "{}") for t in get_templates(["vild14"])] == get_predefined_templates("vild")


def test_imagenet_80_are_those_of_mmseg():
    from mmseg.utils.get_templates import get_predefined_templates

    assert set(get_templates(["imagenet80"])) == set(get_predefined_templates("imagenet"))


@pytest.mark.parametrize(
    "sentence",
    [
        "There is an owl in the scene.",
        "This is a photo of one owl in the scene.",
        "itap of my owl.",
        "This is a photo of many owl.",
        "This is a jpeg corrupted photo of an owl.",
        "This is a photo of the hard to see owl.",
        "This is the plushie owl.",
        "This is an embroidered owl.",
        "This is a painting of a owl.",
    ],
)
def test_vild_63_has_the_sentence(sentence):
    assert sentence in {fill_template(t, "owl") for t in get_templates(["vild63"])}


@pytest.mark.parametrize(
    ("template", "phrase", "sentence"),
    [
        ("a photo of {article} {}.", "apple", "a photo of an apple."),
        ("a photo of {article} {}.", "Bed", "a photo of a Bed."),
        ("a photo of a {}", "airplane", "a photo of a airplane"),
        ("{}", "sky", "sky"),
    ],
)
def test_the_article_fits_the_class_if_the_template_has_one(template, phrase, sentence):
    assert fill_template(template, phrase) == sentence


def test_sets_and_templates_of_the_user_can_be_joined():
    assert get_templates(["single", "my {}", "a photo of a {}"]) == ("a photo of a {}", "my {}")


@pytest.mark.parametrize(("names", "match"), [(["vild"], r"one of the template sets .*'vild'"), ([], "at least one")])
def test_a_name_that_is_neither_set_nor_template_is_refused(names, match):
    with pytest.raises(UserError, match=match):
        get_templates(names)
