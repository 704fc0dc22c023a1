"""Draw the toy world: three training sources, their validation sets and a hold-out, in the formats of real datasets.

    python -m projects.toy.make_toy                       # data/toy, what projects/toy/configs expects
    python -m projects.toy.make_toy data/toy --preview    # and a contact sheet, preview.png

An interrupted run continues where it stopped; a second run with the same arguments does nothing. The text embeddings
come from a hashing encoder, a stand-in for CLIP, and no weights are needed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
from tqdm import tqdm

from mmdataseg.apis.parsers import Parser
from mmdataseg.progress import progress_bar
from mmdataseg.text.embeddings import TextEmbeddings, read_metadata, save_embeddings
from mmdataseg.text.encoding import embed_classes
from mmdataseg.text.hashing import HashingEncoder
from projects.toy.world.preview import contact_sheet
from projects.toy.world.vocabulary import BOX_ONLY_CLASSES, TOY_MIXED, TOY_SOURCES
from projects.toy.world.writing import DEFAULT_TRAIN_IMAGES, DEFAULT_VAL_IMAGES, make_world

_README = """\
# The toy world

Made by `projects/toy/make_toy.py` of mmdataseg; delete the folder and run it again to make another one.

- `toy_semantic`: label maps as in ADE20K (0 = unlabelled), few images. Its validation images also have panoptic
  segments, which no training reads.
- `toy_panoptic`: panoptic segments as in COCO, with crowds and unlabelled regions.
- `toy_boxes`: boxes as in Objects365. `true_masks` holds the masks of its validation images, which no training reads.
- `toy_open`: the hold-out. Every word of its class names is in the training sources, no combination is.
- `embeddings`: **a stand-in.** They come from the hashing encoder (shared words, shared directions, no meaning), not
  from CLIP or any other language model.
- `toy.json`: the arguments the world was made with.

Classes of `toy_boxes` that have masks in no training source: {box_only}.
"""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "out", nargs="?", type=Path, default=Path("data/toy"), help="folder to write (default: data/toy)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of every draw (default: 0)")
    parser.add_argument("--size", type=int, default=128, help="height and width of the images in pixels (default: 128)")
    parser.add_argument(
        "--train-images",
        type=int,
        nargs=3,
        default=DEFAULT_TRAIN_IMAGES,
        metavar=("SEMANTIC", "PANOPTIC", "BOXES"),
        help=f"training images of the three sources (default: {' '.join(map(str, DEFAULT_TRAIN_IMAGES))})",
    )
    parser.add_argument(
        "--val-images",
        type=int,
        default=DEFAULT_VAL_IMAGES,
        help=f"images of each validation set and of the hold-out (default: {DEFAULT_VAL_IMAGES})",
    )
    parser.add_argument("--preview", action="store_true", help="also write preview.png, a contact sheet")
    return parser.parse_args(arguments)


def write_embeddings(folder: Path) -> int:
    """Write the text embeddings of every label space whose file does not hold them yet.

    Args:
        folder: Where to write; each label space gets ``<label space>.safetensors``.

    Returns:
        How many files were written.
    """
    spaces = [*(source.label_space for source in TOY_SOURCES.values()), TOY_MIXED]
    encoder = HashingEncoder()
    made = {
        folder / f"{space.name}.safetensors": embed_classes(encoder, space.classes, vocabulary=space.name)
        for space in spaces
    }
    missing = [path for path, embeddings in made.items() if not _is_current(path, embeddings)]
    for path in missing:
        save_embeddings(path, made[path])
    return len(missing)


def _is_current(path: Path, embeddings: TextEmbeddings) -> bool:
    """Whether the file was made of the same classes, texts and encoder."""
    try:
        return path.is_file() and read_metadata(path)["sha256"] == embeddings.recipe.sha256
    except ValueError:
        return False


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the world and report what was done."""
    args = parse_args(arguments)
    bars: list[tqdm] = []  # empty while nothing is drawn

    def progress(there: int, total: int) -> None:
        if not bars:
            bars.append(progress_bar(total=total, desc="toy world", unit="images"))
        bars[0].update(there - bars[0].n)

    try:
        drawn = make_world(
            args.out,
            seed=args.seed,
            size=args.size,
            train_images=args.train_images,
            val_images=args.val_images,
            progress=progress,
        )
    except ValueError as error:
        raise SystemExit(str(error)) from error
    finally:
        for bar in bars:
            bar.close()
    embedded = write_embeddings(args.out / "embeddings")
    readme, preview = args.out / "README.md", args.out / "preview.png"
    if not readme.is_file():
        readme.write_text(_README.format(box_only=", ".join(BOX_ONLY_CLASSES)))
    previewed = args.preview and not preview.is_file()
    if previewed:
        sheet = contact_sheet(seed=args.seed, size=args.size)
        if not cv2.imwrite(str(preview), sheet[..., ::-1]):
            raise OSError(f"could not write {preview}")
    if drawn or embedded or previewed:
        print(
            f"{args.out}: {drawn} images drawn, {embedded} files of embeddings (hashing encoder, a stand-in) written"
            + (f", {preview.name} written" if previewed else "")
        )
    else:
        print(f"{args.out}: complete, nothing to do")


if __name__ == "__main__":
    main()
