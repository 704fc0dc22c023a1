r"""Measure how a converted class layer handles new class names, with CLIP's embeddings and random class layers.

    python tools/words_without_training.py $MMDATASEG_MINI_WORLD/text

The class layer knows COCO's 133 classes; the queries are classified by another vocabulary as a whole. For each word
with a known synonym (couch and sofa, tv and television receiver; equal names are left out), queries of the known class
are drawn. Only queries whose known class wins among the known ones are kept; the score is how often the word wins among
all words of the other vocabulary. There are two kinds of class layers: random rows, and rows that are similar where the
texts are (text rows, centred, of rank 32, rotated at random), as a trained layer's may be. A query of a class is the
class's row plus noise of equal length, normalised as by a LayerNorm. The first rows of the table are the known
vocabulary itself, to show what a ridge costs there. As a baseline, each word takes the logits of its nearest known
class.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import layer_norm, normalize

from mmdataseg.apis.parsers import Parser
from mmdataseg.ops.class_layer import background_direction, class_layer_for_vectors

KNOWN = "coco133"
RIDGES = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
CHANNELS, QUERIES, RANK = 256, 50, 32
_COMMON = {
    "building": "building-other-merged",
    "ceiling": "ceiling-merged",
    "door": "door-stuff",
    "fence": "fence-merged",
    "floor": "floor-other-merged",
    "food": "food-other-merged",
    "grass": "grass-merged",
    "mountain": "mountain-merged",
    "rock": "rock-merged",
    "sidewalk": "pavement-merged",
    "sky": "sky-other-merged",
    "tree": "tree-merged",
    "wall": "wall-other-merged",
    "water": "water-other",
}
# vocabulary -> word -> its synonym among the known words
SYNONYMS: Mapping[str, Mapping[str, str]] = {
    "ade150": {
        **_COMMON,
        "sofa": "couch",
        "television receiver": "tv",
        "windowpane": "window-other",
        "cabinet": "cabinet-merged",
        "table": "table-merged",
        "earth": "dirt-merged",
        "rug": "rug-merged",
        "mirror": "mirror-stuff",
        "blind": "window-blind",
        "plant": "potted plant",
        "minibike": "motorcycle",
        "bag": "handbag",
    },
    "cityscapes19": {
        **{name: _COMMON[name] for name in ("building", "fence", "sidewalk", "sky", "wall")},
        "vegetation": "tree-merged",
        "terrain": "dirt-merged",
        "traffic sign": "stop sign",
    },
    "pascal_context59": {
        **_COMMON,
        "aeroplane": "airplane",
        "motorbike": "motorcycle",
        "sofa": "couch",
        "table": "dining table",
        "tvmonitor": "tv",
        "pottedplant": "potted plant",
        "cabinet": "cabinet-merged",
        "computer": "laptop",
    },
}


def read_rows(folder: Path, vocabulary: str) -> tuple[tuple[str, ...], Tensor]:
    """Names and (K, D) unit rows of a vocabulary, read from a folder laid out as the mini world.

    Raises:
        FileNotFoundError: There is no such file.
    """
    names = tuple(entry["name"] for entry in json.loads((folder / "vocabularies.json").read_text())[vocabulary])
    rows = torch.from_numpy(np.load(folder / f"{vocabulary}.npy", allow_pickle=False).astype(np.float64))
    return names, normalize(rows, dim=1)


def draw_layer(kind: str, text_KD: Tensor, generator: torch.Generator) -> Tensor:
    """(K + 1, C) weights of a class layer, the background's last; ``random`` or ``like the texts``."""
    num_classes, dim = text_KD.shape
    if kind == "random":
        return torch.randn(num_classes + 1, CHANNELS, dtype=torch.float64, generator=generator) / CHANNELS**0.5
    left, values, right = torch.linalg.svd(text_KD - text_KD.mean(0), full_matrices=False)
    turned = torch.randn(dim, CHANNELS, dtype=torch.float64, generator=generator) / dim**0.5
    rows = (left[:, :RANK] * values[:RANK]) @ right[:RANK] @ turned
    background = torch.randn(1, CHANNELS, dtype=torch.float64, generator=generator) / CHANNELS**0.5
    return torch.cat([normalize(rows, dim=1), background])


def draw_queries(weight_JC: Tensor, label: int, generator: torch.Generator) -> Tensor:
    """(N, C) queries of a class: those of the drawn ones whose class wins."""
    noise_NC = torch.randn(QUERIES, CHANNELS, dtype=torch.float64, generator=generator)
    row_C = weight_JC[label] / weight_JC[label].norm() * CHANNELS**0.5
    query_NC = layer_norm(row_C + noise_NC, (CHANNELS,))
    return query_NC[(query_NC @ weight_JC.T).argmax(1) == label]


def hits(
    known: tuple[Sequence[str], Tensor], asked: tuple[Sequence[str], Tensor], pairs: Mapping[str, str], kind: str
) -> dict[str, float]:
    """Share of the queries of known classes for which the synonym wins among the other vocabulary's words.

    Args:
        known: Names and rows that the class layer was trained on.
        asked: Names and rows of the other vocabulary.
        pairs: Word -> known class.
        kind: As in `draw_layer`.

    Returns:
        Ridge or ``nearest`` -> share, as the mean over the pairs.
    """
    generator = torch.Generator().manual_seed(0)
    (known_names, known_KD), (names, text_VD) = known, asked
    weight_JC = draw_layer(kind, known_KD, generator)
    vectors_JD = torch.cat([known_KD, background_direction(known_KD)[None]])
    answers = {
        f"{ridge:g}": text_VD @ class_layer_for_vectors(weight_JC, weight_JC[:, 0] * 0, vectors_JD, ridge=ridge)[0]
        for ridge in RIDGES
    }
    answers["nearest"] = weight_JC[(text_VD @ known_KD.T).argmax(1)]
    shares: dict[str, list[float]] = {name: [] for name in answers}
    for word, synonym in pairs.items():
        query_NC = draw_queries(weight_JC, known_names.index(synonym), generator)
        for name, answer_VC in answers.items():
            logits_NV = query_NC @ answer_VC.T
            # words that take the logits of the same class tie: they share the win
            best_NV = logits_NV == logits_NV.max(1, keepdim=True).values
            share_N = best_NV[:, names.index(word)] / best_NV.sum(1)
            shares[name].append(float(share_N.mean()))
    return {name: sum(found) / len(found) for name, found in shares.items()}


def table(folder: Path) -> str:
    """A Markdown table: rows for the known words themselves, then for each vocabulary; a column for each ridge."""
    known = read_rows(folder, KNOWN)
    head = ["words", "synonyms", "class layer", *(f"ridge {ridge:g}" for ridge in RIDGES), "nearest class"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    own = {KNOWN: {name: name for name in known[0]}}
    for vocabulary, pairs in {**own, **SYNONYMS}.items():
        for kind in ("random", "like the texts"):
            found = hits(known, read_rows(folder, vocabulary), pairs, kind)
            cells = [vocabulary, str(len(pairs)), kind, *(f"{100 * share:.0f}" for share in found.values())]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with vocabularies.json and the rows of each vocabulary as .npy")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, in percent."""
    folder = parse_args(arguments).folder
    if not (folder / "vocabularies.json").is_file():
        raise SystemExit(f"{folder}: no vocabularies.json in it; give the folder 'text' of the mini world")
    print(table(folder))


if __name__ == "__main__":
    main()
