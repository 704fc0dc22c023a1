"""Convert a Mask2Former of mmdet, trained on the toy world, with several ridges, and test the results.

    python -m mmdataseg train mmdet-mask2former_toy_panoptic.py
    python -m projects.toy.ridge_curve work_dirs/mmdet-mask2former_toy_panoptic/iter_2000.pth

The tests cover its own classes (toy_panoptic, with mmdet's own model as the reference: the two must agree), the other
tasks and vocabularies, and names whose words were seen only in other combinations (toy_open), compared with chance.
``--co-trained`` adds a co-trained model, tested on the same sets, to show what training gives. The program prints a
Markdown table, writes the numbers to a JSON file, and draws the curve beside it.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmdataseg.apis.config.reading import read_config
from mmdataseg.apis.convert import convert
from mmdataseg.apis.parsers import Parser
from mmdataseg.apis.runs import run_testing

RIDGES = (0.0, 0.003, 0.03, 0.1, 0.3, 1.0)
SHOWN = (
    ("toy_panoptic/PQ", "trained classes, PQ"),
    ("toy_semantic/mIoU", "toy_semantic, mIoU"),
    ("toy_boxes/mask_AP", "toy_boxes, mask AP"),
    ("toy_semantic_as_panoptic/PQ", "semantic as panoptic, PQ"),
    ("toy_open/PQ", "unseen names, PQ"),
    ("toy_open/PQ_chance", "their chance, PQ"),
)


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="of mmdet-mask2former_toy_panoptic")
    parser.add_argument("--ridges", type=float, nargs="+", default=RIDGES, metavar="X", help="(default: %(default)s)")
    parser.add_argument("--co-trained", type=Path, metavar="CHECKPOINT", help="of dataseg_toy_3ds, to compare with")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="SVG to draw (default: ridge_curve.svg in --out)")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/mask2former_toy"), help="(default: %(default)s)")
    return parser.parse_args(arguments)


def score(config: str, checkpoint: Path, out: Path) -> dict[str, float]:
    """Test a checkpoint as the config defines; no pictures are drawn."""
    cfg = read_config(config)
    cfg.default_hooks.pop("visualization")
    return run_testing(cfg, str(checkpoint), work_dir=str(out))


def rows(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Name of a model -> its scores."""
    found = {"mmdet's own": score("mmdet-mask2former_toy_panoptic.py", args.checkpoint, args.out / "theirs")}
    for ridge in args.ridges:
        path = args.out / f"ridge_{ridge:g}" / "converted.pth"
        made = convert(args.checkpoint, path, config="mask2former_toy.py", ridge=ridge)
        found[f"ridge {ridge:g}"] = score("mask2former_toy.py", path, path.parent) | {"error": made.provenance["error"]}
    if args.co_trained is not None:
        found["co-trained"] = score("dataseg_toy_3ds.py", args.co_trained, args.out / "co-trained")
    return found


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown: a row for each model, a column for each score, in percent; a score that a model does not have is
    empty."""
    lines = [f"| model | {' | '.join(title for _, title in SHOWN)} |", f"|{'---|' * (len(SHOWN) + 1)}"]
    for name, scores in found.items():
        cells = [f"{scores[key]:.4f}" if key in scores else "" for key, _ in SHOWN]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(found: Mapping[str, Mapping[str, float]], file: Path) -> None:
    """Draw the scores of the converted models against the ridge; dotted: those of the co-trained model, if any.

    Args:
        found: Result of `rows`.
        file: Path of the SVG file.
    """
    import matplotlib

    ridges = [name for name in found if name.startswith("ridge ")]
    co_trained = found.get("co-trained", {})
    # text stays text, without date or random ids: the file is small, and identical for identical numbers
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ridge_curve"}):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for key, title in SHOWN:
            (line,) = axes.plot([found[name][key] for name in ridges], marker="o", markersize=3, label=title)
            if key in co_trained:
                axes.axhline(co_trained[key], color=line.get_color(), linestyle=":", linewidth=1)
        axes.set_xticks(range(len(ridges)), [name.removeprefix("ridge ") for name in ridges])
        axes.set_xlabel("ridge" + ("; dotted: the co-trained model" if co_trained else ""))
        axes.set_ylabel("percent")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        figure.savefig(file, metadata={"Date": None})


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert, test, write, draw, print."""
    args = parse_args(arguments)
    found = rows(args)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "ridge_curve.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    draw(found, args.picture or args.out / "ridge_curve.svg")
    print(table(found))


if __name__ == "__main__":
    main()
