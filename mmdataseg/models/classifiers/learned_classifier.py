"""Classification without text: a learned vector for each class (ablation).

Letters: K classes of a label space, D length of the class embeddings.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mmdataseg.errors import UserError
from mmdataseg.models.classifiers.cosine_classifier import CosineClassifier
from mmdataseg.registry import MODELS
from mmdataseg.sources import Source, build_sources


@MODELS.register_module()
class LearnedClassifier(CosineClassifier):
    """`TextClassifier` with learned class vectors in place of the text embeddings.

    Nothing connects the label spaces: "sofa" of one is as far from "couch" of another as from "sky". A vocabulary that
    was not trained on cannot be tested. All sources of one label space share its vectors, including test-only sources.
    A batch is of one source, so only one label space's vectors get a gradient: train in parallel with
    ``find_unused_parameters = True``.

    Args:
        sources: Sources of the run, or their configs.
        embed_dim: D.

    Raises:
        UserError: No source is trained on a label space; or two label spaces have the same name and different classes.
    """

    def __init__(self, *, sources: Sequence[Mapping[str, Any] | Source], embed_dim: int) -> None:
        super().__init__(embed_dim=embed_dim)
        self._tables: dict[str, str] = {}  # source -> name of its table
        built = build_sources(sources)
        spaces = {_table_name(source): source.label_space for source in built if source.train is not None}
        for source in built:
            name = _table_name(source)
            if name not in spaces:
                raise UserError(
                    f"no source is trained on label space '{source.label_space.name}', so its classes have no learned "
                    "vectors",
                    source=source.name,
                    remedy="take the source out of model.sources, or use mmdataseg.TextClassifier",
                )
            if spaces[name].classes != source.label_space.classes:
                raise UserError(
                    f"label space '{source.label_space.name}' has other classes than a source with a label space of "
                    "that name",
                    source=source.name,
                    remedy="rename one",
                )
            self._tables[source.name] = name
        for name, space in spaces.items():
            self.add_module(name, nn.Embedding(len(space), embed_dim))

    def matrix(self, source: str) -> Tensor:
        """Learned vectors of a source's classes, (K, D), of any length.

        Raises:
            UserError: The model was built without this source.
        """
        if source not in self._tables:
            raise UserError(
                f"the model has no source '{source}'; it was built with {list(self._tables)}; name one of them"
            )
        return self.get_submodule(self._tables[source]).weight


def _table_name(source: Source) -> str:
    """Named by the label space, so that a checkpoint fits whatever the sources are called; without dots, as torch
    requires."""
    return "vectors_" + re.sub(r"\W", "_", source.label_space.name)
