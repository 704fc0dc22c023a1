"""Two tiny vocabularies with their files of text embeddings."""

from pathlib import Path

import torch

from mmdataseg.sources import Source
from mmdataseg.structures import LabelSpace, Task
from mmdataseg.text.embeddings import TextEmbeddings, save_embeddings
from mmdataseg.text.recipe import EncoderInfo

TEST, OTHER = EncoderInfo(library="test"), EncoderInfo(library="other")
AXES = LabelSpace(name="axes", classes=("right", "up", "away"), is_thing=(True, True, False))
TWO = LabelSpace(name="two", classes=("left", "down"), is_thing=(True, True))
MATRICES = {"axes": torch.eye(3), "two": torch.tensor([[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])}


def write(folder: Path, space: LabelSpace, *, matrix: torch.Tensor | None = None) -> Source:
    path = folder / f"{space.name}.safetensors"
    matrix = MATRICES[space.name] if matrix is None else matrix
    save_embeddings(path, TextEmbeddings(matrix=matrix, classes=space.classes, encoder=TEST, vocabulary=space.name))
    return Source(name=space.name, task=Task.PANOPTIC, label_space=space, embeddings=str(path))
