"""Classification by text: cosines between class embeddings and the text embeddings of a vocabulary.

Letters: K classes of a vocabulary, J = K + 1 with the background last, D text dimension, N words.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmdataseg.errors import MissingFileError, UserError
from mmdataseg.models.classifiers.class_layer_words import ClassLayerWords
from mmdataseg.models.classifiers.cosine_classifier import CosineClassifier, initial_scale_of
from mmdataseg.ops.class_layer import same_rows
from mmdataseg.registry import MODELS
from mmdataseg.sources import Source, build_sources, parameter_owners
from mmdataseg.text.embeddings import TextEmbeddings, build_remedy, encoder_mismatch, load_embeddings, matrix_sha256
from mmdataseg.text.recipe import TextRecipe, dump_json, require_same_recipe

BACKGROUNDS = ("shared", "per_source")


@dataclass(frozen=True)
class Provenance:
    """How a source's rows were made, and the SHA-256 of `matrix_sha256` that identifies them."""

    recipe: TextRecipe
    rows_sha256: str


@MODELS.register_module()
class TextClassifier(CosineClassifier):
    """Frozen text embeddings of each source's classes, one learnable background for all (Gu et al., 2023).

    The matrices are buffers, saved with the checkpoint: a checkpoint is complete without the files, and takes
    precedence over them. The module's extra state has the recipe of each matrix: classes, encoder, templates and
    prompts. So a checkpoint is refused with other labels, or with a file that was made in another way, and further
    words can be embedded in the same way.

    Args:
        sources: Sources of the run, or their configs; each names its file of embeddings.
        embed_dim: D.
        background: ``shared``, as in the paper, or ``per_source``, the design it argues against: a background for each
            source that is trained on. Then train in parallel with ``find_unused_parameters = True``.
        normalize: As in `CosineClassifier`.
        initial_scale: s of `CosineClassifier` at the start of a training, at most 100. None: `initial_scale_of` the
            text embeddings of the sources that are trained on, or 1 if ``normalize`` is False.
        new_words_weight: Outside training, factor for the odds of a class whose text is not that of a class trained on,
            against all other classes and the background: log(weight) is added to its logit, which calibrates seen and
            unseen classes (Chao et al., 2016). 1 changes nothing.

    Raises:
        UserError: A source has no embeddings, or some that do not fit its label space or ``embed_dim``; the embeddings
            are of different encoders; ``background`` is unknown; ``initial_scale`` is not in (0, 100]; or
            ``new_words_weight`` is not a finite number above 0. Also what `mmdataseg.sources.parameter_owners` raises.
    """

    def __init__(
        self,
        *,
        sources: Sequence[Mapping[str, Any] | Source],
        embed_dim: int,
        background: str = "shared",
        normalize: bool = True,
        initial_scale: float | None = None,
        new_words_weight: float = 1.0,
    ) -> None:
        if background not in BACKGROUNDS:
            raise UserError(f"background: expected one of {BACKGROUNDS}, got {background!r}; correct it")
        if not 0 < new_words_weight < math.inf:
            raise UserError(
                f"new_words_weight: expected a number above 0, got {new_words_weight}",
                remedy="give 1 for no change, or more than 1 to favour new words",
            )
        built = build_sources(sources)
        owners = parameter_owners(built) if background == "per_source" else None
        super().__init__(embed_dim=embed_dim, owners=owners, normalize=normalize)
        self.new_words_weight = new_words_weight
        self.class_layer_words = ClassLayerWords(embed_dim)
        self.register_load_state_dict_post_hook(_take_missing_words_as_none)
        self._sources = {source.name: source for source in built}
        self._trained = [source.name for source in built if source.train is not None]
        self._absent: set[str] = set()
        self._of_files: dict[str, TextRecipe] = {}
        self._provenance: dict[str, Provenance] = {}
        self._state = torch.zeros(0, dtype=torch.uint8)  # what get_extra_state returns
        for source in self._sources.values():
            text = self._read(source)
            rows = torch.zeros(len(source.label_space), embed_dim) if text is None else text.matrix
            self.register_buffer(f"embeddings_{source.name}", rows)
            if text is not None:
                self._of_files[source.name] = text.recipe
                self._provenance[source.name] = Provenance(text.recipe, matrix_sha256(rows))
        self._require_one_encoder()
        if initial_scale is not None:
            self.start_at(initial_scale)
        elif normalize:
            known = [name for name in self._trained if name not in self._absent]
            self.start_at(initial_scale_of(self.get_buffer(f"embeddings_{name}") for name in known))

    def _read(self, source: Source) -> TextEmbeddings | None:
        """None if the file is absent and a checkpoint must provide its rows."""
        if source.embeddings is None:
            raise UserError(
                "embeddings is not set",
                source=source.name,
                remedy=f"name the file that tools/text_embeddings.py wrote for label space '{source.label_space.name}'",
            )
        if not Path(source.embeddings).is_file():
            self._absent.add(source.name)
            return None
        return load_embeddings(
            source.embeddings, label_space=source.label_space, source=source.name, dim=self.embed_dim
        )

    def forward(self, class_embeds: Tensor, text_KD: Tensor, source: str | None = None) -> Tensor:
        """Class logits over any vocabulary; arguments, result and errors as in `CosineClassifier.forward`.

        Raises:
            UserError: Also if there is a weight for new words, and `trained_words` raises.
        """
        if self.training:
            self.class_layer_words.forget()
        logits = super().forward(class_embeds, text_KD, source)
        if self.training or self.new_words_weight == 1:
            return logits
        is_new_K = same_rows(text_KD, self.trained_words()) < 0
        return logits + math.log(self.new_words_weight) * torch.cat([is_new_K, is_new_K.new_zeros(1)])

    def vectors(self, text_KD: Tensor, source: str | None) -> Tensor:
        """As `CosineClassifier.vectors`; those of the words of a converted class layer are not of unit length."""
        return self.class_layer_words(super().vectors(text_KD, source))

    def trained_words(self) -> Tensor:
        """Text embeddings of the classes that the weights were trained on.

        Returns:
            (N, D) float32: the words of the converted class layer; without one, the classes of all sources that are
            trained on. A class of several sources appears several times.

        Raises:
            UserError: The checkpoint was not converted, and no source of the model is trained on.
            MissingFileError: As in `matrix`.
        """
        if len(self.class_layer_words):
            return self.class_layer_words.text_KD
        if not self._trained:
            raise UserError(
                f"cannot tell which words are new: none of the model's sources {list(self._sources)} is trained on",
                remedy="add the sources of its training to model.sources, or leave new_words_weight out",
            )
        return torch.cat([self.matrix(name) for name in self._trained])

    def get_extra_state(self) -> Tensor:
        """The recipe of each source's rows, for the checkpoint.

        Returns:
            uint8, JSON in UTF-8: a tensor, because mmengine's EMA hook and strategies expect every value of a state
            dict to be a tensor, and because every loader reads tensors without running code. It is always the same
            tensor: mmengine's averaged model keeps the one that it got before a checkpoint was loaded.
        """
        known = {
            name: {"recipe": provenance.recipe.to_json(), "rows_sha256": provenance.rows_sha256}
            for name, provenance in self._provenance.items()
            if self._is_of(name, provenance)
        }
        self._state.data = torch.frombuffer(bytearray(dump_json(known).encode()), dtype=torch.uint8)
        return self._state

    def set_extra_state(self, state: Tensor) -> None:
        """Take over the recipes of a checkpoint; torch calls this after it has loaded the checkpoint's rows.

        Args:
            state: Of `get_extra_state`.

        Raises:
            UserError: The rows of a source are of other classes than its label space, or made in another way than the
                file that the config names; the rows are of different encoders; or `get_extra_state` did not write the
                state.
        """
        for name, brought in _read_state(state).items():
            if name not in self._sources:
                continue
            self._require_same_classes(name, brought.recipe.classes)
            if name in self._of_files:
                require_same_recipe(name, config=self._of_files[name], checkpoint=brought.recipe)
            if self._is_of(name, brought):
                self._provenance[name] = brought
        self._require_one_encoder()
        self.get_extra_state()  # bring the tensor up to date

    def _require_same_classes(self, name: str, classes: tuple[str, ...]) -> None:
        space = self._sources[name].label_space
        if classes == space.classes:
            return
        shared = min(len(classes), len(space))
        row = next((i for i in range(shared) if classes[i] != space.classes[i]), shared)
        theirs, ours = (repr(names[row]) if row < len(names) else "none" for names in (classes, space.classes))
        raise UserError(
            "the checkpoint holds text embeddings of other classes, or in another order, than label space "
            f"'{space.name}': class {row} is {theirs} in the checkpoint and {ours} in the label space",
            source=name,
            remedy="give the source another name, or the label space it was trained with",
        )

    def _require_one_encoder(self) -> None:
        known = {name: self._provenance[name] for name in self._sources if name in self._provenance}
        mismatch = encoder_mismatch({n: p.recipe.encoder for n, p in known.items() if self._is_of(n, p)})
        if mismatch is not None:
            raise UserError(mismatch)

    def _is_of(self, name: str, provenance: Provenance) -> bool:
        """Whether the provenance describes the present rows, not earlier ones."""
        return matrix_sha256(self.get_buffer(f"embeddings_{name}").cpu()) == provenance.rows_sha256

    @property
    def absent(self) -> list[str]:
        """Sources whose embeddings came neither from a file nor from a checkpoint."""
        return [name for name in self._sources if self._is_absent(name)]

    def check_complete(self) -> None:
        """Check that every source has its embeddings, including those that would be used much later.

        Raises:
            MissingFileError: Neither its file nor a checkpoint has the embeddings of a source.
        """
        for source in self._sources:
            self.matrix(source)

    def _is_absent(self, source: str) -> bool:
        if source in self._absent and self.get_buffer(f"embeddings_{source}").any():
            self._absent.discard(source)  # they came with a checkpoint
        return source in self._absent

    def matrix(self, source: str) -> Tensor:
        """Text embeddings of a source's classes, (K, D) float32 unit rows.

        Raises:
            UserError: The model was built without this source.
            MissingFileError: Neither its file nor a checkpoint has its embeddings.
        """
        if source not in self._sources:
            raise UserError(
                f"the model has no source '{source}'; it was built with {list(self._sources)}; name one of them"
            )
        if self._is_absent(source):
            path = self._sources[source].embeddings
            raise MissingFileError(
                f"text embeddings {path}: no such file, and they were not in a checkpoint",
                source=source,
                remedy=build_remedy(path, self._sources[source].label_space, self.embed_dim),
            )
        return self.get_buffer(f"embeddings_{source}")

    def recipe(self, source: str) -> TextRecipe:
        """How a source's classes were embedded, to embed further words in the same way.

        Raises:
            UserError: As in `matrix`; or the checkpoint has the embeddings without their recipe.
            MissingFileError: As in `matrix`.
        """
        self.matrix(source)
        provenance = self._provenance.get(source)
        if provenance is None or not self._is_of(source, provenance):
            raise UserError(
                "the checkpoint does not say which encoder made its text embeddings",
                source=source,
                remedy=f"put back the file that they came from: {self._sources[source].embeddings}",
            )
        return provenance.recipe


def _take_missing_words_as_none(classifier: TextClassifier, keys: Any) -> None:
    """Let a checkpoint without an entry for `ClassLayerWords` count as complete: earlier versions wrote none."""
    entries = [key for key in keys.missing_keys if key.endswith("class_layer_words._extra_state")]
    for entry in entries:
        keys.missing_keys.remove(entry)
        classifier.class_layer_words.forget()


def _read_state(state: Tensor) -> dict[str, Provenance]:
    try:
        entries = json.loads(state.cpu().numpy().tobytes())
        return {
            name: Provenance(TextRecipe.from_json(entry["recipe"]), entry["rows_sha256"])
            for name, entry in entries.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"the checkpoint's recipes of text embeddings cannot be read ({error}); give a checkpoint that a training "
            "with mmdataseg.TextClassifier wrote"
        ) from error
