"""Write docs/configs.md: every config that can be run, with the first paragraph of its docstring."""

import argparse
import ast
import re
from collections.abc import Sequence
from pathlib import Path

from mmdataseg.apis.parsers import Parser
from mmdataseg.apis.config.files import leaf_configs

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/configs.md"
# Folder -> what its configs have in common, in the order of the page.
FOLDERS = {
    "configs": "The full method on three sources.",
    "configs/separate": "Each source alone, for comparison.",
    "configs/two_sources": "Pairs of sources.",
    "configs/transfer": "Tests on other datasets, without training on them, except COCO semantic: the model is trained on COCO "
    "panoptic.",
    "configs/ablations": "One change each to `dataseg_r50_3ds`.",
    "configs/others": "In the style of other systems, as far as sources, classifier and MERGE can express them.",
    "configs/hardware": "For other hardware: bfloat16; one GPU with gradient accumulation and checkpointing.",
    "configs/from_mask2former": "Public checkpoints of Mask2Former, converted: "
    "[start_from_mask2former.md](start_from_mask2former.md).",
    "configs/finetune": "Training from a converted Mask2Former: "
    "[start_from_mask2former.md](start_from_mask2former.md#co-training-from-a-converted-model).",
    "configs/own_data": "Templates for your own data: [own_data.md](own_data.md).",
    "configs/mini": "Eight real images of each of three datasets, on a CPU.",
    "projects/toy/configs": "The toy world, on a CPU.",
    "projects/toy/configs/separate": "The toy world, each source alone.",
    "projects/toy/configs/two_sources": "The toy world, pairs of sources.",
    "projects/toy/configs/ablations": "The toy world, one change each.",
    "projects/toy/configs/transfer": "The toy world: tests with class names that are not trained on.",
    "projects/toy/configs/others": "The toy world, in the style of other systems.",
    "projects/toy/configs/hardware": "The toy world, for other hardware.",
    "projects/toy/configs/from_mask2former": "The toy world, from a converted Mask2Former.",
    "projects/voc/configs": "Photographs, on two CPU cores.",
    "projects/voc/configs/separate": "Photographs, each source alone.",
    "projects/voc/configs/two_sources": "Photographs, pairs of sources.",
    "projects/voc/configs/box_shares": "Photographs: few masks with more and more boxes.",
    "projects/voc/configs/transfer": "Photographs: tests with the classes of another dataset.",
    "projects/voc/configs/training_images": "Photographs: tests on images that the model was trained on.",
    "projects/voc/configs/ablations": "Photographs, one change each.",
    "projects/voc/configs/hardware": "Photographs, on one GPU.",
    "projects/voc/configs/backbones": "Photographs, with other backbones of timm.",
}
HEAD = """# Configs

<!-- Made by: python -m tools.site.config_table. The texts are the docstrings of the configs. -->

This page lists all **leaf configs**: those that can be run, such as `configs/dataseg_r50_3ds.py`. The sources, models
and schedules that they inherit from are in `configs/_base_`. The docstring of a config has more: its row and table in
the paper, the expected number, what was run, and the command.

A config is given by its path, or by its file name from any folder. Configs with `test` in the second column are only for
testing.
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line.

    Args:
        argv: Its words; None: those of the process.
    """
    parser = Parser(description=__doc__)
    parser.add_argument("--page", type=Path, default=PAGE, help="where to write it (default: docs/configs.md)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    parse_args(argv).page.write_text(page_of(leaf_configs()), encoding="utf-8")


def page_of(leaves: Sequence[Path]) -> str:
    """The page.

    Args:
        leaves: The configs.

    Raises:
        KeyError: A config is in a folder that `FOLDERS` does not describe.
    """
    by_folder: dict[str, list[Path]] = {folder: [] for folder in FOLDERS}
    for leaf in leaves:
        by_folder[leaf.parent.relative_to(ROOT).as_posix()].append(leaf)
    sections = [HEAD]
    for folder, files in by_folder.items():
        if files:
            rows = "\n".join(map(row_of, files))
            sections.append(f"## {folder}\n\n{FOLDERS[folder]}\n\n| config | command | what it is |\n|---|---|---|\n{rows}\n")
    return "\n".join(sections)


def row_of(leaf: Path) -> str:
    """The line of a config in its table.

    Args:
        leaf: The config.
    """
    docstring = ast.get_docstring(ast.parse(leaf.read_text(encoding="utf-8"))) or ""
    summary = " ".join(docstring.partition("\n\n")[0].split()).replace("|", "\\|")
    verbs = re.findall(r"^Command: mim (train|test) ", docstring, flags=re.MULTILINE)
    link = f"[{leaf.stem}](../{leaf.relative_to(ROOT).as_posix()})"
    return f"| {link} | {', '.join(dict.fromkeys(verbs))} | {summary} |"


if __name__ == "__main__":
    main()
