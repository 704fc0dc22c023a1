"""Compare the results of two checkpoints on the same images, in one picture per image.

    python tools/compare_checkpoints.py before.pth after.pth photos --out compared
    python tools/compare_checkpoints.py before.pth after.pth photos/*.jpg --things dog cat --stuff road --task instance

Each picture shows the image, both predictions, and where they differ. The same object (same class, overlapping masks)
has the same colour in both. Pixels where the classes differ are hatched, and their share is written in the picture.
Without names, each model uses the classes of its own source, and classes are compared by name.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmdataseg.apis.images.decoding import MAX_PIXELS, UnreadableImageError
from mmdataseg.apis.images.inputs import ImageInputs
from mmdataseg.apis.images.paths import common_root, count_images
from mmdataseg.apis.parsers import Parser
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.apis.segmenter import Segmenter
from mmdataseg.apis.user_errors import user_errors
from mmdataseg.errors import UserError
from mmdataseg.progress import counted, progress_bar
from mmdataseg.results import pictures
from mmdataseg.results.file_names import FileNames
from mmdataseg.results.segments import Answer
from mmdataseg.structures import Task
from mmdataseg.visualization.drawing import draw_segments, panel_size, side_by_side
from mmdataseg.visualization.segments import draw_predicted, predicted_segments


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", help="a checkpoint")
    parser.add_argument("second", help="the checkpoint to compare it with")
    parser.add_argument("images", nargs="+", help="files, folders or patterns")
    parser.add_argument("--out", type=Path, default=Path("compared"), help="output folder (default: %(default)s)")
    parser.add_argument("--things", nargs="+", default=[], metavar="WORD", help="class names of countable objects")
    parser.add_argument("--stuff", nargs="+", default=[], metavar="WORD", help="class names of everything else")
    parser.add_argument("--task", choices=[t.value for t in Task], default="panoptic", help="default: %(default)s")
    parser.add_argument("--source", help="source of both models whose test pipeline to use (default: the first)")
    parser.add_argument("--pretrained", metavar="PATH", help="weights of the text encoder, if not in open_clip's cache")
    parser.add_argument(
        "--min-score", type=float, default=0.3, help="leave out instances with a lower score (default: 0.3)"
    )
    parser.add_argument("--device", help="default: a GPU if there is one")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare two checkpoints.

    Returns:
        0, or 1 if images were left out.

    Raises:
        SystemExit: The user made a mistake; the message is on stderr.
    """
    options = parse_args(arguments)
    register_all_modules()
    with user_errors():
        return compare(options)


def compare(options: argparse.Namespace) -> int:
    """Write one picture per image, and print how much the answers differ.

    Args:
        options: The options from `parse_args`.

    Returns:
        The exit code, as in `main`.

    Raises:
        UserError: As `Segmenter.__call__`; or ``--min-score`` is out of range.
    """
    if not 0 <= options.min_score <= 1:
        raise UserError(f"--min-score: expected 0 .. 1, got {options.min_score}")
    total = count_images(options.images)
    models = [Segmenter(path, source=options.source, device=options.device) for path in (options.first, options.second)]
    titles = short_names(options.first, options.second)
    asked = [
        model.questions(
            vocabularies=model.vocabulary(options.things, options.stuff, pretrained=options.pretrained),
            tasks=options.task,
        )
        for model in models
    ]
    shares, left_out, file_name = [], [], FileNames()
    inputs = ImageInputs(max_pixels=MAX_PIXELS, root=common_root(options.images))(options.images)
    for found in progress_bar(inputs, unit="images", total=total):
        try:
            image = found.load()
            loaded = replace(found, load=lambda image=image: image)
            results = [
                result
                for model, question in zip(models, asked, strict=True)
                for _, result in model.stream([loaded], question, min_score=options.min_score)
            ]
        except UnreadableImageError as error:
            left_out.append(str(error))
            continue
        answers = [result.answer() for result in results]
        shares.append(float(differing(*answers).mean()))
        picture = compared(results[0].image, *answers, titles=(found.name, *titles))
        pictures.write(options.out / f"{file_name(found.name)}.png", picture)
    return report(shares, left_out, options.out)


def compared(image: np.ndarray, first: Answer, second: Answer, *, titles: tuple[str, str, str]) -> np.ndarray:
    """Draw the image, both answers and where they differ, side by side.

    Args:
        image: (H, W, 3) uint8 RGB.
        first: An answer about the image.
        second: Another answer about the image, for the same task.
        titles: Titles of the image and of both answers.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    size = panel_size(*image.shape[:2])
    like = predicted_segments(first.prediction, first.source, min_score=first.min_score)
    panels = [
        draw_predicted(image, answer.prediction, answer.source, size=size, min_score=answer.min_score, like=known)
        for answer, known in ((first, ()), (second, like if same_classes(first, second) else ()))
    ]
    where = differing(first, second)
    note = f"classes differ: {100 * where.mean():.1f} % of the pixels"
    difference = draw_segments(image // 2, [], size=size, note=note, hatched=where)
    return side_by_side(
        [
            (titles[0], pictures.shown(image)),
            *((f"{title}: {first.task.value}", panel) for title, panel in zip(titles[1:], panels, strict=True)),
            ("where they differ", difference),
        ]
    )


def same_classes(first: Answer, second: Answer) -> bool:
    """Return whether each label means the same class in both answers."""
    return first.label_space.classes == second.label_space.classes


def differing(first: Answer, second: Answer) -> np.ndarray:
    """Return where two answers have different classes, or only one of them has a class.

    Args:
        first: An answer.
        second: Another one about the same image.

    Returns:
        (H, W) bool.
    """
    numbers = {name: n for n, name in enumerate({*first.label_space.classes, *second.label_space.classes}, 1)}
    maps = []
    for answer in (first, second):
        class_of_id = np.array([0, *(numbers[segment.name] for segment in answer.segments)])
        maps.append(class_of_id[answer.id_map])
    return maps[0] != maps[1]


def short_names(first: str, second: str) -> tuple[str, str]:
    """Return short names of two checkpoints: the file names, with as many folders as are needed to tell them apart."""
    names = [first.replace("\\", "/").split("/"), second.replace("\\", "/").split("/")]
    parts = 1
    while parts < max(map(len, names)) and names[0][-parts:] == names[1][-parts:]:
        parts += 1
    return "/".join(names[0][-parts:]), "/".join(names[1][-parts:])


def report(shares: Sequence[float], left_out: Sequence[str], out: Path) -> int:
    """Print how much the answers differ, and which images were left out.

    Returns:
        0, or 1 if images were left out.
    """
    if shares:
        worst = 100 * max(shares)
        print(f"{counted(len(shares), 'picture')} in {out}")
        print(f"classes differ on {100 * float(np.mean(shares)):.1f} % of the pixels; on the worst image {worst:.1f} %")
    if left_out:
        number = counted(len(left_out), "image was", "images were")
        print("\n".join([f"error: {number} left out:", *left_out]), file=sys.stderr)
    return int(bool(left_out))


if __name__ == "__main__":
    raise SystemExit(main())
