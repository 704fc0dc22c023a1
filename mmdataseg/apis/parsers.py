"""The arguments of all commands, and the parser of the tools. Imports nothing heavy, because mim asks for -h first."""

import re
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import DictAction

from mmdataseg.errors import suggestion
from mmdataseg.structures import Task

DEFAULT_RIDGE = 0.003  # compared with others in docs/start_from_mask2former.md
_CONFIG = "path of a config, or the file name of one of mmdataseg's own"
# options that several commands have
_SHARED: dict[str, dict[str, Any]] = {
    "--bfloat16": {
        "action": "store_true",
        "help": "run the network in bfloat16: faster on CPUs with AVX512-BF16 or AMX if the network is large, with "
        "slightly different results",
    },
    "--cfg-options": {
        "nargs": "+",
        "action": DictAction,
        "default": {},
        "metavar": "KEY=VALUE",
        "help": "override settings of the config, e.g. train_dataloader.batch_size=4 randomness.seed=1; "
        'write lists as key="[a,b]", without blanks',
    },
    "--device": {"help": "default: a GPU if there is one"},
    "--launcher": {"choices": ("none", "pytorch", "slurm", "mpi"), "default": "none", "help": "job launcher"},
    "--new-words-weight": {
        "type": float,
        "metavar": "X",
        "help": "multiply the odds of class names that the model was not trained on by X (default: 1, no change)",
    },
    "--pretrained": {"metavar": "PATH", "help": "weights of the text encoder, if not in open_clip's cache"},
    "--source": {"help": "source of the model whose test pipeline to use (default: the first with one)"},
    "--trust-checkpoint": {
        "action": "store_true",
        "help": "run code stored in the checkpoint; only for your own files",
    },
    "--work-dir": {
        "metavar": "FOLDER",
        "help": "logs and checkpoints (default: the config's, or work_dirs/<config>)",
    },
}
# options of other toolboxes -> what to use here
_SEVERAL_GPUS = "for several GPUs, use torchrun --nproc_per_node N -m mmdataseg ..., with --launcher pytorch"
INSTEAD_IN_TRAIN = {
    "--gpus": _SEVERAL_GPUS,
    "--seed": "use --cfg-options randomness.seed=N",
    "--resume-from": "use --resume CHECKPOINT",
    "--load-from": "use --cfg-options load_from=CHECKPOINT",
    "--no-validate": "use --cfg-options val_dataloader=None val_evaluator=None val_cfg=None",
    "--batch-size": "use --cfg-options train_dataloader.batch_size=N",
    "--lr": "use --cfg-options optim_wrapper.optimizer.lr=X",
    "--epochs": "use --iterations N",
}
INSTEAD_IN_TEST = {
    "--gpus": _SEVERAL_GPUS,
    "--eval": "each source of the config names its metrics",
    "--show": "use --show-dir FOLDER",
    "--batch-size": "use --cfg-options test_dataloader.batch_size=N",
}
INSTEAD_IN_PREDICT = dict.fromkeys(("--classes", "--names", "--texts"), "use --things and --stuff")
_EXAMPLES = """Segment images, with the classes of the training or with class names of your own.

  {prog} model.pth photos --things dog "red car" --stuff road sky
  {prog} model.pth photos/*.jpg --tasks semantic instance --save coco csv --batch-size 4
  {prog} model.pth street.mp4 --things car person --save video
"""


class Parser(ArgumentParser):
    """An argument parser that takes no abbreviations, and says what to use in place of an unknown option.

    Args:
        instead: Option of another toolbox -> what to use here. For others, the nearest option is suggested.
        **options: Arguments of ArgumentParser.
    """

    def __init__(self, *, instead: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)
        self._instead = dict(instead or {})

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """Parse all arguments.

        Raises:
            SystemExit: With code 2, if an argument is unknown or wrong.
        """
        found, rest = self.parse_known_intermixed_args(args, namespace)  # options may come before images
        options = [word for word in rest if word.startswith("-")]
        if options:
            unknown = options[0].partition("=")[0]
            # in the help, a line of options has two blanks at its start, and two or more before the explanation
            own = re.findall(r"^  (-.+?)(?:  |$)", self.format_help(), flags=re.MULTILINE)
            hint = self._instead.get(unknown) or suggestion(unknown, re.findall(r"--[\w-]+", " ".join(own)))
            self.error(f"unknown option {unknown!r}" + (f"; {hint}" if hint else ""))
        if rest:
            self.error(f"argument {rest[0]!r} is one too many")
        return found


def build_train_parser(prog: str | None = None) -> Parser:
    """Build the parser of ``train``."""
    parser = Parser(prog=prog, description="Train a model", usage="%(prog)s CONFIG [options]", instead=INSTEAD_IN_TRAIN)
    parser.add_argument("config", metavar="CONFIG", help=_CONFIG)
    _add_run_options(parser)
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="continue from this checkpoint, or from the latest one in the work_dir (if any) if no path is given",
    )
    parser.add_argument(
        "--iterations", type=int, metavar="N", help="train N iterations, with the config's schedule scaled to them"
    )
    parser.add_argument("--amp", action="store_true", help="train with automatic mixed precision")
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate by the batch size over the config's auto_scale_lr.base_batch_size",
    )
    return parser


def build_test_parser(prog: str | None = None) -> Parser:
    """Build the parser of ``test``."""
    parser = Parser(
        prog=prog,
        description="Test a model",
        usage="%(prog)s [CONFIG] CHECKPOINT [options]",
        instead=INSTEAD_IN_TEST,
    )
    parser.add_argument("config", nargs="?", metavar="CONFIG", help=f"{_CONFIG} (default: that in the checkpoint)")
    _add_run_options(parser)
    parser.add_argument(
        "checkpoint",
        nargs="?",
        metavar="CHECKPOINT",
        help="checkpoint to test; its model is used if the config has none",
    )
    parser.add_argument(
        "-C", "--checkpoint", dest="checkpoint_option", metavar="CHECKPOINT", help="checkpoint to test, as an option"
    )
    parser.add_argument("--classwise", action="store_true", help="also report the scores of each class")
    parser.add_argument("--out", metavar="FILE", help="also write the predictions to this .pkl file")
    parser.add_argument(
        "--show-dir",
        metavar="FOLDER",
        help="folder for pictures of predictions (default: the config's, or pictures in the work_dir)",
    )
    _add_shared(parser, "--new-words-weight", "--bfloat16")
    return parser


def build_predict_parser(prog: str | None = None) -> Parser:
    """Build the parser of ``predict``."""
    parser = Parser(
        prog=prog,
        description=_EXAMPLES.format(prog=prog or "python -m mmdataseg predict"),
        formatter_class=RawDescriptionHelpFormatter,
        usage="%(prog)s [CONFIG] CHECKPOINT IMAGE [IMAGE ...] [options]",
        instead=INSTEAD_IN_PREDICT,
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="[CONFIG] CHECKPOINT IMAGE",
        help="a checkpoint, then images: files, folders, patterns, addresses, videos, or a camera number. To replace "
        "the config in the checkpoint, put a .py file or the name of one of mmdataseg's configs before it",
    )
    _add_questions(parser)
    written = parser.add_argument_group("what to write")
    written.add_argument(
        "--save",
        nargs="+",
        choices=("pictures", "masks", "coco", "json", "csv", "video"),
        default=["pictures", "coco"],
        help="pictures: image and segments side by side; masks: one PNG per segment; coco: JSON and PNGs in COCO's "
        "format; json, csv: all segments in one file; video: the frames of a video with their segments (default: "
        "pictures coco)",
    )
    written.add_argument(
        "--out",
        default="predictions",
        metavar="FOLDER",
        help="output folder; the same command continues an interrupted run there (default: %(default)s)",
    )
    written.add_argument("--show", action="store_true", help="also show each image on the screen; q quits")
    running = parser.add_argument_group("how to run")
    running.add_argument("--batch-size", type=int, default=1, help="images per forward pass (default: %(default)s)")
    running.add_argument(
        "--max-pixels", type=int, default=100_000_000, help="leave out larger images (default: %(default)s)"
    )
    _add_shared(running, "--device", "--bfloat16", "--trust-checkpoint", "--cfg-options")
    return parser


def build_web_parser(prog: str | None = None) -> Parser:
    """Build the parser of ``web``."""
    parser = Parser(
        prog=prog,
        description="Open a page in the browser: drop an image, type class names, see what the model finds",
        usage="%(prog)s CHECKPOINT [options]",
    )
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", help="path or address of a checkpoint from training or convert"
    )
    parser.add_argument("--config", metavar="NAME", help="path or name of a config (default: that in the checkpoint)")
    _add_shared(parser, "--source", "--device", "--pretrained", "--trust-checkpoint", "--cfg-options")
    serving = parser.add_argument_group("where to serve")
    serving.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s, only this machine; 0.0.0.0: everyone who can reach it)",
    )
    serving.add_argument("--port", type=int, default=7860, help="default: %(default)s")
    limits = parser.add_argument_group("limits")
    for option, default, text in (
        ("--max-mib", 20, "largest image file, in MiB"),
        ("--max-pixels", 50_000_000, "refuse larger images"),
        ("--max-words", 100, "most class names per request"),
        ("--max-seconds", 120, "longest time for a request, in seconds"),
    ):
        limits.add_argument(option, type=int, default=default, help=f"{text} (default: %(default)s)")
    return parser


def build_convert_parser(prog: str | None = None) -> Parser:
    """Build the parser of ``convert``."""
    parser = Parser(
        prog=prog,
        description="Convert a public Mask2Former into a checkpoint that segments classes by name",
        usage="%(prog)s CHECKPOINT --to OUT [options]",
    )
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", help="path or address of a Mask2Former of mmdet, mmseg or Hugging Face"
    )
    parser.add_argument("--to", required=True, metavar="OUT", help="checkpoint to write")
    parser.add_argument(
        "--config", metavar="NAME", help="default: the one in configs/from_mask2former for its backbone and classes"
    )
    parser.add_argument(
        "--embeddings", metavar="FILE", help="text embeddings of its classes (default: the file that the config names)"
    )
    parser.add_argument(
        "--ridge",
        type=float,
        default=DEFAULT_RIDGE,
        metavar="X",
        help="damping for class names that it was not trained on; trained classes are not affected "
        "(default: %(default)s)",
    )
    return parser


def build_checks_parser(prog: str | None = None) -> Parser:
    """Build the parser of ``checks``."""
    parser = Parser(
        prog=prog,
        description="Print what is installed, found and working on this machine, for a bug report",
        usage="%(prog)s [--json]",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    return parser


def _add_shared(parser: Any, *options: str) -> None:
    """Add options that other commands have, too, to a parser or to a group of it."""
    for option in options:
        parser.add_argument(option, **_SHARED[option])


def _add_run_options(parser: Parser) -> None:
    """Add what a training and a test have in common."""
    _add_shared(parser, "--cfg-options", "--work-dir", "--trust-checkpoint", "--launcher")
    # torch.distributed.launch passes it in either spelling; the Runner reads the environment
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help="set by the launcher")


def _add_questions(parser: Parser) -> None:
    asked = parser.add_argument_group("what to look for (default: the classes of the source)")
    asked.add_argument("--things", nargs="+", default=[], metavar="NAME", help="class names of countable objects")
    asked.add_argument(
        "--stuff", nargs="+", default=[], metavar="NAME", help="class names of everything else, such as sky"
    )
    asked.add_argument(
        "--embeddings", metavar="FILE", help="embedded class names, from tools/text_embeddings.py or Vocabulary.save"
    )
    asked.add_argument(
        "--tasks",
        nargs="+",
        choices=[task.value for task in Task],
        help="one or more (default: panoptic with names of your own, else that of the source)",
    )
    asked.add_argument(
        "--min-score", type=float, default=0.3, help="leave out instances with a lower score (default: %(default)s)"
    )
    _add_shared(asked, "--new-words-weight", "--pretrained", "--source")
