"""Show which classes of different sources have similar text embeddings: synonyms and false friends.

    python tools/class_map.py data/embeddings/ade150_vit-l-14_openai.safetensors \
        data/embeddings/coco133_vit-l-14_openai.safetensors --out class_map.png
    python tools/class_map.py work_dirs/dataseg_r50_3ds/iter_368750.pth

Each class is paired with the nearest class of every other vocabulary, by the cosine of their text embeddings. The table
lists the pairs with the highest cosine. The picture projects the embeddings on their first two principal components and
joins these pairs by lines.

"both ways" means that each class is the nearest of the other. This holds for most synonyms. "one way" names the class
that is nearer. Such a pair is often a false friend (motorcycle and bicycle, if one vocabulary has no motorcycle), or
one of the two is broader. A model that was trained on both vocabularies treats the two as nearly the same class.

Pairs with the same name are listed separately. Text embeddings cannot distinguish their meanings, so check them
yourself. Those that are a thing in one vocabulary and stuff in the other come first.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmdataseg.apis.parsers import Parser
from mmdataseg.apis.user_errors import user_errors
from mmdataseg.errors import UserError
from mmdataseg.text.embeddings import TextEmbeddings, encoder_mismatch, load_embeddings, read_thing_flags
from mmdataseg.text.vocabularies import get_label_space, known_label_spaces

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, kw_only=True)
class Words:
    """A vocabulary in text space.

    Args:
        name: Name of the vocabulary, or of the sources that have it.
        classes: K class names.
        rows: (K, D) float embeddings of unit length.
        is_thing: K flags; None if they are unknown.
    """

    name: str
    classes: tuple[str, ...]
    rows: np.ndarray
    is_thing: tuple[bool, ...] | None = None

    def kind(self, index: int) -> str:
        """Return "thing" or "stuff", or an empty string if that is unknown."""
        return "" if self.is_thing is None else "thing" if self.is_thing[index] else "stuff"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two classes of different vocabularies.

    Args:
        first: Number of the vocabulary, and number of the class in it.
        second: The same for the second class.
        cosine: Cosine of their embeddings.
        nearer: A third class: the nearest one to one of the two, in the other's vocabulary. None: each class of the
            pair is the nearest of the other.
    """

    first: tuple[int, int]
    second: tuple[int, int]
    cosine: float
    nearer: tuple[int, int] | None


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="files of text embeddings (.safetensors), or one checkpoint (.pth)")
    parser.add_argument("--out", type=Path, default=Path("class_map.png"), help="default: %(default)s")
    parser.add_argument(
        "--pairs", type=int, default=40, help="pairs with different names to list (default: %(default)s)"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables and draw the picture.

    Raises:
        SystemExit: The user made a mistake; the message is on stderr.
    """
    options = parse_args(arguments)
    with user_errors():
        if options.pairs < 1:
            raise UserError(f"--pairs: expected 1 or more, got {options.pairs}")
        if options.out.suffix.lower() not in (".png", ".pdf", ".svg", ".jpg"):
            raise UserError(f"--out: expected .png, .pdf, .svg or .jpg, got {options.out}")
        words = read_words(options.files)
        pairs = nearest_pairs(words)
        print(tables(words, pairs, limit=options.pairs))
        options.out.parent.mkdir(parents=True, exist_ok=True)
        draw(words, [pair for pair in pairs if not same_name(words, pair)][: options.pairs], options.out)
        print(f"the picture: {options.out}", file=sys.stderr)


def read_words(files: Sequence[str]) -> list[Words]:
    """Read the vocabularies from files of text embeddings, or from a checkpoint.

    Args:
        files: The files from the command line.

    Returns:
        Two or more vocabularies.

    Raises:
        MissingFileError: A file does not exist.
        UserError: There are fewer than two vocabularies, or their encoders differ.
    """
    if len(files) == 1 and not files[0].endswith(".safetensors"):
        words = words_of_checkpoint(files[0])
    else:
        texts = {file: load_embeddings(file) for file in files}
        mismatch = encoder_mismatch({file: text.encoder for file, text in texts.items()})
        if mismatch:
            raise UserError(mismatch, remedy="make all files with one encoder")
        words = [
            Words(
                name=text.vocabulary or Path(file).stem,
                classes=text.classes,
                rows=text.matrix.numpy(),
                is_thing=read_thing_flags(file) or known_flags(text),
            )
            for file, text in texts.items()
        ]
    if len(words) < 2:
        raise UserError(f"expected two vocabularies or more, got {len(words)}", remedy="give more files")
    return words


def known_flags(text: TextEmbeddings) -> tuple[bool, ...] | None:
    """Return the thing flags of the classes if they are a vocabulary that this package knows, else None."""
    if text.vocabulary not in known_label_spaces():
        return None
    space = get_label_space(text.vocabulary)
    return space.is_thing if space.classes == text.classes else None


def words_of_checkpoint(path: str) -> list[Words]:
    """Return the vocabularies of a model's sources. A vocabulary that sources share appears once."""
    from mmdataseg.apis.registration import register_all_modules

    register_all_modules()
    from mmdataseg.apis.trained_model import load_trained_model

    model = load_trained_model(path, device="cpu").model
    groups: dict[tuple[str, ...], Words] = {}
    for source in model.sources.values():
        space = source.label_space
        name = f"{groups[space.classes].name}, {source.name}" if space.classes in groups else source.name
        rows = model.classifier.matrix(source.name).detach().numpy()
        groups[space.classes] = Words(name=name, classes=space.classes, rows=rows, is_thing=space.is_thing)
    return list(groups.values())


def nearest_pairs(words: Sequence[Words]) -> list[Pair]:
    """Pair each class with the nearest class of every other vocabulary.

    Args:
        words: Two vocabularies or more.

    Returns:
        The pairs without duplicates, highest cosine first.
    """
    pairs = []
    for a, first in enumerate(words):
        for b in range(a + 1, len(words)):
            cosine = first.rows @ words[b].rows.T
            forth, back = cosine.argmax(axis=1), cosine.argmax(axis=0)
            found = {(i, int(j)) for i, j in enumerate(forth)} | {(int(i), j) for j, i in enumerate(back)}
            for i, j in found:
                nearer = (b, int(forth[i])) if forth[i] != j else (a, int(back[j])) if back[j] != i else None
                pairs.append(Pair(first=(a, i), second=(b, j), cosine=float(cosine[i, j]), nearer=nearer))
    return sorted(pairs, key=lambda pair: (-round(pair.cosine, 6), pair.first, pair.second))


def same_name(words: Sequence[Words], pair: Pair) -> bool:
    """Return whether both classes have the same name, ignoring case."""
    (a, i), (b, j) = pair.first, pair.second
    return words[a].classes[i].casefold() == words[b].classes[j].casefold()


def tables(words: Sequence[Words], pairs: Sequence[Pair], *, limit: int) -> str:
    """Return two Markdown tables: pairs with different names, and pairs with the same name.

    Args:
        words: The vocabularies.
        pairs: Pairs from `nearest_pairs`.
        limit: Most pairs with different names.
    """
    apart = [pair for pair in pairs if not same_name(words, pair)]
    shared = [pair for pair in pairs if same_name(words, pair)]
    lines = [
        f"Two names, the nearest {min(limit, len(apart))} of {len(apart)} pairs:\n",
        "| cosine | class | class | nearest | kinds |",
        "|---|---|---|---|---|",
    ]
    for pair in apart[:limit]:
        ways = "both ways" if pair.nearer is None else f"one way; {_named(words, pair.nearer)} is nearer"
        one, other = _named(words, pair.first), _named(words, pair.second)
        lines.append(f"| {pair.cosine:.3f} | {one} | {other} | {ways} | {_kinds(words, pair)} |")
    lines += [f"\nOne name, {len(shared)} pairs:\n"]
    lines += ["| name | vocabularies | kinds |", "|---|---|---|"]
    for pair in sorted(
        shared, key=lambda pair: (not _differ(words, pair), words[pair.first[0]].classes[pair.first[1]])
    ):
        (a, i), (b, _) = pair.first, pair.second
        lines.append(f"| {words[a].classes[i]} | {words[a].name}; {words[b].name} | {_kinds(words, pair)} |")
    return "\n".join(lines)


def project(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project rows on their first two principal components.

    Args:
        rows: (N, D), with N of at least 2.

    Returns:
        (N, 2) positions, and the (2,) shares of the variance that the components explain.
    """
    centred = rows - rows.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    variance = sizes**2 / max(float((sizes**2).sum()), 1e-12)
    positions = np.zeros((len(rows), 2))
    positions[:, : min(2, left.shape[1])] = (left * sizes)[:, :2]
    return positions, np.pad(variance, (0, 2))[:2]


def draw(words: Sequence[Words], pairs: Sequence[Pair], path: Path) -> None:
    """Draw all classes as points. Join the given pairs by lines and label them; label all classes if they are few.

    Args:
        words: The vocabularies.
        pairs: The pairs to join.
        path: Path of the picture.
    """
    from matplotlib.figure import Figure

    positions, variance = project(np.concatenate([word.rows for word in words]))
    starts = np.cumsum([0, *(len(word.classes) for word in words)])
    figure = Figure(figsize=(14, 10), layout="constrained")
    axes = figure.subplots()
    for number, word in enumerate(words):
        x, y = positions[starts[number] : starts[number + 1]].T
        axes.scatter(x, y, s=28, color=f"C{number}", label=f"{word.name} ({len(word.classes)})", alpha=0.8)
    for pair in pairs:
        ends = positions[[starts[vocabulary] + index for vocabulary, index in (pair.first, pair.second)]]
        axes.plot(*ends.T, color="0.5", linewidth=0.8, linestyle="-" if pair.nearer is None else ":", zorder=0)
    shown = {end for pair in pairs for end in (pair.first, pair.second)}
    if starts[-1] <= 80:
        shown = {(number, index) for number, word in enumerate(words) for index in range(len(word.classes))}
    _write_names(axes, words, shown, positions, starts)
    axes.set(
        title="Classes in text space; lines: nearest pairs of two names (dotted: one way)",
        xlabel=f"first principal component, {100 * variance[0]:.0f} % of the variance",
        ylabel=f"second principal component, {100 * variance[1]:.0f} %",
    )
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def _write_names(
    axes: "Axes", words: Sequence[Words], shown: set[tuple[int, int]], positions: np.ndarray, starts: np.ndarray
) -> None:
    """Write names beside their points."""
    for number, index in sorted(shown):
        x, y = positions[starts[number] + index]
        above = number % 2 == 0  # so names of two vocabularies at the same point do not overlap
        axes.annotate(
            words[number].classes[index],
            (x, y),
            xytext=(3, 4 if above else -4),
            textcoords="offset points",
            va="bottom" if above else "top",
            fontsize=8,
            color=f"C{number}",
        )


def _named(words: Sequence[Words], end: tuple[int, int]) -> str:
    return f"{words[end[0]].classes[end[1]]} ({words[end[0]].name})"


def _kinds(words: Sequence[Words], pair: Pair) -> str:
    one, other = (words[vocabulary].kind(index) for vocabulary, index in (pair.first, pair.second))
    return one if one == other else f"{one or '?'}, {other or '?'}"


def _differ(words: Sequence[Words], pair: Pair) -> bool:
    one, other = (words[vocabulary].kind(index) for vocabulary, index in (pair.first, pair.second))
    return bool(one and other and one != other)


if __name__ == "__main__":
    main()
