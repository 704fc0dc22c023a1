"""Classification by text: cosines between class embeddings and the text embeddings of a vocabulary.

Letters: K classes of a vocabulary, D text dimension.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmdataseg.models.cosine_classifier import CosineClassifier
from mmdataseg.registry import MODELS
from mmdataseg.sources import Source, build_sources, parameter_owners
from mmdataseg.structures import LabelSpace
from mmdataseg.text.embeddings import TextEmbeddings, build_remedy, encoder_mismatch, load_embeddings

BACKGROUNDS = ("shared", "per_source")


@MODELS.register_module()
class TextClassifier(CosineClassifier):
    """Frozen text embeddings of each source's classes, one learnable background for all (Gu et al., 2023).

    The matrices are buffers, saved with the checkpoint: a checkpoint is complete without the files, and what it holds
    goes before them. With each go a fingerprint of the class names, so that no checkpoint is read with other labels,
    and the encoder and the templates that made it, so that further words can be embedded alike.

    Args:
        sources: Sources of the run, or their configs; each names its file of embeddings.
        embed_dim: D.
        background: ``shared``, as in the paper, or ``per_source``, the design it argues against: a background for each
            source that is trained on. Then train in parallel with ``find_unused_parameters = True``.
        normalize: As `CosineClassifier`.

    Raises:
        ValueError: A source without embeddings, or with some that do not fit its label space or ``embed_dim``;
            embeddings of different encoders, also when a checkpoint brings them; an unknown ``background``; and what
            `mmdataseg.sources.parameter_owners` raises.
    """

    def __init__(
        self,
        *,
        sources: Sequence[Mapping[str, Any] | Source],
        embed_dim: int,
        background: str = "shared",
        normalize: bool = True,
    ) -> None:
        if background not in BACKGROUNDS:
            raise ValueError(f"background: expected one of {BACKGROUNDS}, got {background!r}")
        built = build_sources(sources)
        owners = parameter_owners(built) if background == "per_source" else None
        super().__init__(embed_dim=embed_dim, owners=owners, normalize=normalize)
        self._sources = {source.name: source for source in built}
        self._absent: set[str] = set()
        encoders: dict[str, str] = {}
        for source in self._sources.values():
            text = self._read(source)
            rows = torch.zeros(len(source.label_space), embed_dim) if text is None else text.matrix
            self.register_buffer(f"embeddings_{source.name}", rows)
            self.register_buffer(f"classes_{source.name}", _fingerprint(source.label_space))
            self.register_buffer(f"recipe_{source.name}", _pack_recipe(text))
            if text is not None:
                encoders[source.name] = text.encoder
        _require_one(encoders)

    def _read(self, source: Source) -> TextEmbeddings | None:
        """None where the file is absent and a checkpoint must bring its rows."""
        if source.embeddings is None:
            raise ValueError(
                f"source '{source.name}': embeddings is not set; name the file that tools/text_embeddings.py wrote for "
                f"label space '{source.label_space.name}'"
            )
        if not Path(source.embeddings).is_file():
            self._absent.add(source.name)
            return None
        return load_embeddings(
            source.embeddings, label_space=source.label_space, source=source.name, dim=self.embed_dim
        )

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        kept: dict[str, Tensor] = {}
        for name, source in self._sources.items():
            classes = state_dict.get(f"{prefix}classes_{name}")
            if classes is not None and not torch.equal(classes.cpu(), _fingerprint(source.label_space)):
                raise ValueError(
                    f"source '{name}': the checkpoint holds text embeddings of other classes, or in another order, "
                    f"than label space '{source.label_space.name}'; give the source another name, or the label space "
                    "it was trained with"
                )
            rows, loaded = self.get_buffer(f"embeddings_{name}"), state_dict.get(f"{prefix}embeddings_{name}")
            if loaded is None or loaded.shape != rows.shape:  # not copied: the embeddings stay as they are, or absent
                kept[f"recipe_{name}"] = self.get_buffer(f"recipe_{name}").clone()
                continue
            self._absent.discard(name)
            recipe, own = state_dict.get(f"{prefix}recipe_{name}"), self.get_buffer(f"recipe_{name}")
            if recipe is not None:  # of any length
                setattr(self, f"recipe_{name}", own.new_empty(recipe.shape))
            elif not torch.equal(loaded.to(rows), rows):  # other rows than the file's, and nobody says whose
                setattr(self, f"recipe_{name}", own.new_empty(0))
        super()._load_from_state_dict(state_dict, prefix, *args)
        for name, recipe in kept.items():  # that of the rows which are there
            setattr(self, name, recipe)
        recipes = {name: self._recipe(name) for name in self._sources if name not in self._absent}
        _require_one({name: recipe[0] for name, recipe in recipes.items() if recipe is not None})

    def check_complete(self) -> None:
        """Check that every source has its embeddings, those too that come to be used only much later.

        Raises:
            FileNotFoundError: Neither its file nor a checkpoint brought the embeddings of a source.
        """
        for source in self._sources:
            self._check(source)

    def _check(self, source: str) -> None:
        if source in self._absent:
            path = self._sources[source].embeddings
            raise FileNotFoundError(
                f"source '{source}': text embeddings {path}: no such file, and no checkpoint brought them; "
                + build_remedy(path, self._sources[source].label_space, self.embed_dim)
            )

    def matrix(self, source: str) -> Tensor:
        """Text embeddings of a source's classes.

        Args:
            source: Its name.

        Returns:
            (K, D) float32 unit rows.

        Raises:
            ValueError: The model was built without this source.
            FileNotFoundError: Neither its file nor a checkpoint brought its embeddings.
        """
        if source not in self._sources:
            raise ValueError(f"the model knows no source '{source}'; it was built with {list(self._sources)}")
        self._check(source)
        return self.get_buffer(f"embeddings_{source}")

    def recipe(self, source: str) -> tuple[str, tuple[str, ...]]:
        """What embeds further words as a source's classes were.

        Args:
            source: Its name.

        Returns:
            The name of the encoder, as in the file of embeddings, and the templates.

        Raises:
            ValueError: As `matrix`; or the checkpoint brought the embeddings, and not what made them.
            FileNotFoundError: As `matrix`.
        """
        self.matrix(source)
        recipe = self._recipe(source)
        if recipe is None:
            raise ValueError(
                f"source '{source}': the checkpoint does not say which encoder made its text embeddings; put the file "
                f"they came from back: {self._sources[source].embeddings}"
            )
        return recipe

    def _recipe(self, source: str) -> tuple[str, tuple[str, ...]] | None:
        packed = bytes(self.get_buffer(f"recipe_{source}").tolist())
        if not packed:
            return None
        encoder, templates = json.loads(packed)
        return encoder, tuple(templates)


def _require_one(encoders: Mapping[str, str]) -> None:
    mismatch = encoder_mismatch(encoders)
    if mismatch is not None:
        raise ValueError(mismatch)


def _pack_recipe(text: TextEmbeddings | None) -> Tensor:
    """UTF-8 of what `TextClassifier.recipe` gives, in JSON; uint8, as checkpoints hold tensors alone."""
    packed = b"" if text is None else json.dumps([text.encoder, text.templates]).encode()
    return torch.tensor(list(packed), dtype=torch.uint8)


def _fingerprint(label_space: LabelSpace) -> Tensor:
    """(32,) uint8 SHA-256 of the class names in their order, by which a checkpoint's rows are known to be these."""
    return torch.tensor(list(hashlib.sha256(json.dumps(label_space.classes).encode()).digest()), dtype=torch.uint8)
