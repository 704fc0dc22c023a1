"""Compute the panoptic quality of predictions in COCO's format, without a model and without panopticapi.

    python tools/panoptic_quality.py panoptic_val2017.json found/panoptic.json
    python tools/panoptic_quality.py panoptic_val2017.json found/panoptic.json --classwise --errors --threads 4
    python tools/panoptic_quality.py truth.json answers.json --truth-folder truth_pngs --predictions-folder answer_pngs

The counts are those of panopticapi, the evaluator of the COCO panoptic task. Id PNGs are expected in a folder beside
the JSON, with its name without .json. Images are matched by file name, or by id if the predictions have no 'images';
categories by name, or by id if the predictions have none.
`python -m mmdataseg predict --tasks panoptic --save coco` writes predictions in this form. A class that is neither in
the truth nor in the predictions has no score: "-", or null in the file of --json.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

from mmdataseg.apis.parsers import Parser
from mmdataseg.apis.user_errors import user_errors
from mmdataseg.evaluation.panoptic_files import PanopticFiles, panoptic_quality_of_files
from mmdataseg.formats.whole_files import write_whole


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=Path, help="panoptic JSON of the truth")
    parser.add_argument("predictions", type=Path, help="panoptic JSON of the predictions")
    parser.add_argument("--truth-folder", type=Path, help="folder of the PNGs of the truth")
    parser.add_argument("--predictions-folder", type=Path, help="folder of the PNGs of the predictions")
    parser.add_argument("--classwise", action="store_true", help="also print the quality of each class")
    parser.add_argument("--errors", action="store_true", help="also print what happened to the true segments")
    parser.add_argument("--threads", type=int, default=1, help="images read at a time (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    args = parser.parse_args(arguments)
    if args.threads < 1:
        parser.error("--threads must be at least 1")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the scores, in percent.

    Raises:
        SystemExit: The user made a mistake. The message goes to stderr.
    """
    args = parse_args(arguments)
    with user_errors():
        scores = panoptic_quality_of_files(
            PanopticFiles(file=args.truth, folder=args.truth_folder),
            PanopticFiles(file=args.predictions, folder=args.predictions_folder),
            threads=args.threads,
            classwise=args.classwise,
            errors=args.errors,
        )
        values = {name: None if math.isnan(value) else value for name, value in scores.items()}
        if args.json:
            write_whole(args.json, (json.dumps(values, indent=1) + "\n").encode())
    width = max(map(len, values))
    for name, value in values.items():
        print(f"{name:{width}}  {'-' if value is None else f'{value:.2f}':>6}")


if __name__ == "__main__":
    main()
