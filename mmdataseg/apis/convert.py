"""The command ``convert``: turn a public Mask2Former into a checkpoint of this package, which takes words."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor

import mmdataseg
from mmdataseg.apis.config.plain import PlainConfig
from mmdataseg.apis.config.reading import read_config
from mmdataseg.apis.parsers import DEFAULT_RIDGE
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.checkpoints.architecture import architecture_of
from mmdataseg.checkpoints.classes import numbers_of
from mmdataseg.checkpoints.conversion import TextLayer, text_layer
from mmdataseg.checkpoints.foreign import Foreign, read_foreign
from mmdataseg.checkpoints.names import CLASS_LAYER
from mmdataseg.errors import UserError
from mmdataseg.formats.whole_files import written_aside
from mmdataseg.registry import MODELS
from mmdataseg.sources import Source, build_sources
from mmdataseg.text.embeddings import TextEmbeddings, build_remedy, load_embeddings, matrix_sha256
from mmdataseg.text.vocabularies import get_label_space

FORMAT = "1"
# Label space -> its part of the file names in configs/from_mask2former.
LEAVES = {"coco133": "coco-panoptic", "coco80": "coco-instance", "ade150": "ade", "cityscapes19": "cityscapes"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Conversion:
    """The result of a conversion.

    Args:
        path: Path of the new checkpoint.
        config: Name of its config.
        provenance: Where it comes from; the same as ``meta['mmdataseg']`` in the checkpoint.
        options: Settings of the config that were changed, in the form of ``--cfg-options``.
        notes: Notes for the user about what was left out.
    """

    path: Path
    config: str
    provenance: Mapping[str, Any]
    options: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        made = self.provenance
        options = f" --cfg-options {' '.join(self.options)}" if self.options else ""
        lines = [
            f"{made['layout']}'s Mask2Former: {made['architecture']}",
            f"{len(made['classes'])} classes: {', '.join(made['classes'][:3])} ...",
            f"text: {made['encoder']}; ridge {made['ridge']:g}; largest error of its class layer {made['error']:.2g}, "
            f"by text alone {made['text_error']:.2g}",
            *self.notes,
            f"written: {self.path}, with its embeddings, its config and where it is from",
            "next:",
            f"  python -m mmdataseg predict {self.path} PHOTOS --things dog 'traffic cone' --stuff road sky",
            f"  python -m mmdataseg test {self.config} {self.path}{options}",
        ]
        return "\n".join(lines)


def convert(
    checkpoint: str | PathLike[str],
    to: str | PathLike[str],
    *,
    config: str | PathLike[str] | Config | None = None,
    embeddings: str | PathLike[str] | None = None,
    ridge: float = DEFAULT_RIDGE,
    progress: bool = True,
) -> Conversion:
    """Turn a Mask2Former of mmdet, mmseg or Hugging Face into a checkpoint of this package.

    The proposals do not change. The class layer becomes a map to class embeddings. The products of these with the text
    embeddings of its classes are the logits of the original class layer (`mmdataseg.ops.class_layer`).

    Args:
        checkpoint: Path or address of the file; for Hugging Face also of the folder with ``config.json``.
        to: Path of the new checkpoint.
        config: Path or name of a config of `DaTaSeg`, or a config object; None: the one in
            ``configs/from_mask2former`` for the backbone and classes of the checkpoint.
        embeddings: File with text embeddings of its classes; None: the file that the config names for them.
        ridge: How cautiously words are answered that it was not trained on, at least 0. With 0, they fail if the class
            texts are nearly linearly dependent. The probabilities of its own classes equal the original's with any
            ridge, unless two of them have the same text.
        progress: Show a progress bar while downloading.

    Returns:
        The result.

    Raises:
        UserError: Something cannot be read or recognised, or does not fit together; the message says what.
    """
    register_all_modules()
    foreign = read_foreign(checkpoint, embeddings=embeddings, progress=progress)
    cfg, name = _config_of(config, foreign)
    init_default_scope(cfg.get("default_scope", "mmdet"))
    options = _fit_to(cfg, foreign, name)
    text, text_KD = _embed(cfg, foreign, embeddings, name)
    if cfg.model.classifier.get("embed_dim") != text.dim:
        cfg.model.classifier.embed_dim = text.dim
        options.append(f"model.classifier.embed_dim={text.dim}")
    layer = text_layer(foreign.state, text_KD, classes=foreign.classes, ridge=ridge, file=foreign.checkpoint.origin)
    state, absent = _assemble(cfg, foreign, layer, name)
    provenance = _provenance(foreign, text, text_KD, layer, ridge)
    skipped = foreign.checkpoint.skipped
    notes = [f"in the file, and not built: {', '.join(skipped)}"] if skipped else []
    notes += [f"without the text embeddings of source {source!r}, which has no file yet" for source in absent]
    meta = {"cfg": cfg.pretty_text, "mmdataseg": {**provenance, "config": name}, "epoch": 0, "iter": 0}
    with written_aside(Path(to)) as aside:
        torch.save({"meta": meta, "state_dict": state}, aside)
    return Conversion(path=Path(to), config=name, provenance=provenance, options=tuple(options), notes=tuple(notes))


# ---- the config


def _config_of(config: str | PathLike[str] | Config | None, foreign: Foreign) -> tuple[Config, str]:
    """Return the config, and its name in a command."""
    if isinstance(config, Config):
        return PlainConfig.of(Config(config.to_dict())), str(config.filename or "CONFIG")
    if config is None:
        config = _leaf_for(foreign)
    return PlainConfig.of(read_config(config)), str(config)


def _leaf_for(foreign: Foreign) -> str:
    if not foreign.architecture.known:
        raise UserError(
            f"has {foreign.architecture.backbone}, which no config in configs/from_mask2former has",
            file=foreign.checkpoint.origin,
            remedy="give --config, one with that backbone",
        )
    for space in sorted(LEAVES, key=lambda name: len(get_label_space(name))):  # COCO's 80 things are in its 133, too
        if isinstance(numbers_of(foreign.classes, get_label_space(space).classes), list):
            return f"mask2former_{foreign.architecture.backbone}_{LEAVES[space]}.py"
    raise UserError(
        f"has {len(foreign.classes)} classes, {foreign.classes[0]!r} first, which no config in "
        "configs/from_mask2former has",
        file=foreign.checkpoint.origin,
        remedy="give --config, one with a source of these classes",
    )


def _fit_to(cfg: Config, foreign: Foreign, name: str) -> list[str]:
    """Change the settings in which published models of one backbone differ. Return the changes."""
    model, options = cfg.model, []
    head, classifier = model.get("panoptic_head", {}), model.get("classifier", {})
    if model.get("type") not in ("mmdataseg.DaTaSeg", "DaTaSeg") or "TextClassifier" not in classifier.get("type", ""):
        raise UserError(f"config {name}: expected a model mmdataseg.DaTaSeg with a mmdataseg.TextClassifier")
    if head.get("class_embed_layers", 3) != 1 or classifier.get("normalize", True):
        raise UserError(
            f"config {name}: a class layer is linear; expected model.panoptic_head.class_embed_layers=1 and "
            "model.classifier.normalize=False",
            remedy="set both, as configs/_base_/models/mask2former_r50.py does",
        )
    if "query_sets" in head or model.get("queries", "shared") != "shared":
        raise UserError(f"config {name}: has queries for each source, and a Mask2Former has one set")
    found = foreign.architecture
    for place, key, standard, value in (
        ("panoptic_head", "num_queries", 100, found.num_queries),
        ("backbone", "window_size", 7, found.window_size),
    ):
        holder = model[place]
        if value is not None and holder.get(key, standard) != value:
            options.append(f"model.{place}.{key}={value}")
            holder[key] = value
    return options


# ---- the words


def _embed(
    cfg: Config, foreign: Foreign, embeddings: str | PathLike[str] | None, name: str
) -> tuple[TextEmbeddings, Tensor]:
    """Return embeddings with the classes of the checkpoint and their (K, D) rows. Set the file in the config."""
    sources = build_sources(cfg.model.sources)
    if embeddings is None:
        text = _from_config(sources, foreign, name)
    else:
        text = load_embeddings(embeddings)
        for config, source in zip(cfg.model.sources, sources, strict=True):
            if source.label_space.classes == text.classes:
                config["embeddings"] = str(embeddings)
    numbers = numbers_of(foreign.classes, text.classes)
    if isinstance(numbers, str):
        raise UserError(
            f"class {numbers!r} of {foreign.checkpoint.origin} has no row of its own among the {len(text.classes)} of "
            f"{embeddings or text.vocabulary}",
            remedy="embed its classes with tools/text_embeddings.py and give the file as --embeddings",
        )
    for config, source in zip(cfg.model.sources, sources, strict=True):
        file = config.get("embeddings")
        if file and Path(file).is_file():
            own = load_embeddings(file, label_space=source.label_space, source=source.name)
            if own.dim != text.dim or not own.encoder.fits(text.encoder):
                raise UserError(
                    f"{file} was made by '{own.encoder}' ({own.dim} dimensions), the embeddings of the checkpoint's "
                    f"classes by '{text.encoder}' ({text.dim}); directions of different encoders have nothing in "
                    "common",
                    source=source.name,
                    remedy="make both with one, by tools/text_embeddings.py --force",
                )
    return text, text.matrix[torch.tensor(numbers)]


def _from_config(sources: tuple[Source, ...], foreign: Foreign, name: str) -> TextEmbeddings:
    """Return the embeddings of the first source of the config that has the checkpoint's classes."""
    missing = ""
    for source in sources:
        found = numbers_of(foreign.classes, source.label_space.classes)
        if isinstance(found, str):
            missing = missing or f"{found!r} is not in {source.label_space.name!r}"
            continue
        if source.embeddings is None or not Path(source.embeddings).is_file():
            path = source.embeddings or f"{source.label_space.name}.safetensors"
            raise UserError(
                f"text embeddings {path}: no such file",
                source=source.name,
                remedy=f"{build_remedy(path, source.label_space)}; or give --embeddings",
            )
        return load_embeddings(source.embeddings, label_space=source.label_space, source=source.name)
    raise UserError(
        f"config {name}: none of its sources has the {len(foreign.classes)} classes of {foreign.checkpoint.origin} "
        f"({missing})",
        remedy="give --config, one with a source of these classes, or --embeddings",
    )


# ---- the checkpoint


def _assemble(cfg: Config, foreign: Foreign, layer: TextLayer, name: str) -> tuple[dict[str, Tensor], list[str]]:
    """Return the state dict of the config's model with the foreign weights, and the sources without embeddings."""
    model = MODELS.build(cfg.model)
    model.classifier.class_layer_words.set(layer.text_KD, layer.vectors_JD)
    own = model.state_dict()
    given = {k: v for k, v in foreign.state.items() if not k.startswith(f"{CLASS_LAYER}.")} | dict(layer.state)
    _check_same_model(own, given, foreign, name)
    absent = model.classifier.absent
    left_out = {f"classifier.embeddings_{source}" for source in absent}
    state = {k: given[k].to(v) if k in given else v for k, v in own.items() if k not in left_out}
    return state, absent


def _check_same_model(own: Mapping[str, Tensor], given: Mapping[str, Tensor], foreign: Foreign, name: str) -> None:
    # tables that the model computes itself, and batch counters, which older files lack
    computed = ("relative_position_index", "num_batches_tracked")
    missing = [k for k in own if not k.startswith("classifier.") and k not in given and not k.endswith(computed)]
    more = [k for k in given if k not in own and not k.endswith(computed)]
    shapes = [k for k in given if k in own and given[k].shape != own[k].shape]
    if not (missing or more or shapes):
        return
    built, found = architecture_of(own), foreign.architecture
    if built != found:
        raise UserError(
            f"config {name} is of another model: it has {built}; {foreign.checkpoint.origin} has {found}",
            remedy="leave --config out, or give one of that model",
        )
    examples = [f"missing {k}" for k in missing[:2]] + [f"unknown {k}" for k in more[:2]]
    examples += [f"{k} of shape {tuple(given[k].shape)}, not {tuple(own[k].shape)}" for k in shapes[:2]]
    raise UserError(
        f"its weights are not those of config {name}: {'; '.join(examples)}", file=foreign.checkpoint.origin
    )


def _provenance(
    foreign: Foreign, text: TextEmbeddings, text_KD: Tensor, layer: TextLayer, ridge: float
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": mmdataseg.__version__,
        "converted_from": foreign.checkpoint.origin,
        "sha256": foreign.checkpoint.sha256(),
        "layout": foreign.layout,
        "architecture": str(foreign.architecture),
        "classes": list(foreign.classes),
        "encoder": str(text.encoder),
        "templates": list(text.templates),
        "embeddings_sha256": matrix_sha256(text_KD),
        "ridge": float(ridge),
        "error": layer.error,
        "text_error": layer.text_error,
        "stretch": layer.stretch,
    }
