"""Prompt templates: sentences that a class name is inserted into before it is encoded.

``{}`` is replaced by the class and ``{article}`` by "a" or "an", as the class requires; a template without
``{article}`` gets no article.
"""

from collections.abc import Sequence

from mmdataseg.errors import UserError
from mmdataseg.text.open_clip import imagenet_templates

# ViLD (Gu et al., ICLR 2022), as listed in mmseg and others.
_VILD_14 = (
    "a photo of {article} {}.",
    "This is a photo of {article} {}",
    "There is {article} {} in the scene",
    "There is the {} in the scene",
    "a photo of {article} {} in the scene",
    *(f"{start}a photo of a {size} {{}}." for start in ("", "This is ") for size in ("small", "medium", "large")),
    *(f"There is a {size} {{}} in the scene." for size in ("small", "medium", "large")),
)
# The ensemble of ViLD's released code (tensorflow/tpu, detection/projects/vild), which puts "This is" before each
# template that starts with an article. "itap" means "I took a picture".
_VILD_63 = (
    *(f"There is {the} {{}} in the scene." for the in ("{article}", "the")),
    *(f"This is a photo of {the} {{}} in the scene." for the in ("{article}", "the", "one")),
    *(f"itap of {the} {{}}." for the in ("{article}", "my", "the")),
    *(f"This is a photo of {the} {{}}." for the in ("{article}", "my", "the", "one", "many")),
    *(
        f"This is a {kind} photo of {the} {{}}."
        for kind in (
            "good",
            "bad",
            "bright",
            "dark",
            "low resolution",
            "cropped",
            "close-up",
            "jpeg corrupted",
            "blurry",
            "pixelated",
            "black and white",
        )
        for the in ("{article}", "the")
    ),
    *(
        f"This is a photo of {the} {kind} {{}}."
        for kind in ("nice", "cool", "weird", "small", "large", "clean", "dirty", "hard to see")
        for the in ("a", "the")
    ),
    *(f"This is {the} {kind} {{}}." for kind in ("plastic", "toy", "plushie", "cartoon") for the in ("a", "the")),
    "This is an embroidered {}.",
    "This is the embroidered {}.",
    "This is a painting of the {}.",
    "This is a painting of a {}.",
)
_SETS = {
    "name": lambda: ("{}",),
    "single": lambda: ("a photo of a {}",),
    "vild14": lambda: _VILD_14,
    "vild63": lambda: _VILD_63,
    "imagenet80": imagenet_templates,
}


def known_template_sets() -> tuple[str, ...]:
    """Return the names that `get_templates` accepts.

    They are: only the name, one sentence, ViLD's 14 and 63 templates, and the 80 that CLIP was tested with on ImageNet.
    """
    return tuple(_SETS)


def get_templates(names: Sequence[str]) -> tuple[str, ...]:
    """Return the templates of one or several sets, each once.

    Args:
        names: Names of sets (`known_template_sets`), or templates, which contain ``{}``.

    Raises:
        UserError: A name is neither a known set nor a template; or there is no name.
        ImportError: A name is ``imagenet80`` and open_clip is not installed.
    """
    templates: list[str] = []
    for name in names:
        if name not in _SETS and "{}" not in name:
            raise UserError(
                f"expected one of the template sets {list(_SETS)} or a template with {{}} for the class, got {name!r}"
            )
        templates.extend(_SETS[name]() if name in _SETS else (name,))
    if not templates:
        raise UserError("expected at least one prompt template, got none")
    return tuple(dict.fromkeys(templates))


def fill_template(template: str, phrase: str) -> str:
    """Replace ``{}`` in a template by a phrase, and ``{article}`` by "an" before a vowel (by letter, as in ViLD), else
    by "a"."""
    article = "an" if phrase[:1].lower() in tuple("aeiou") else "a"
    return template.replace("{article}", article).replace("{}", phrase)
