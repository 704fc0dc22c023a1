"""The command line: ``python -m mmdataseg train|test|predict``, and the scripts in ``tools/`` that mim runs.

The arguments of train and test are those of OpenMMLab's own ``tools/train.py`` and ``tools/test.py``.
"""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdataseg.apis.config.files import find_config
from mmdataseg.apis.config.reading import check_config
from mmdataseg.apis.images.paths import check_paths
from mmdataseg.apis.parsers import (
    build_checks_parser,
    build_convert_parser,
    build_predict_parser,
    build_test_parser,
    build_train_parser,
    build_web_parser,
)
from mmdataseg.apis.predict.arguments import check_files, check_outputs, check_words, is_config, split_inputs
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.apis.user_errors import user_errors
from mmdataseg.errors import UserError
from mmdataseg.progress import counted

USAGE = """usage: python -m mmdataseg train CONFIG [options]
       python -m mmdataseg test [CONFIG] CHECKPOINT [options]
       python -m mmdataseg predict [CONFIG] CHECKPOINT IMAGES [options]
       python -m mmdataseg web CHECKPOINT [options]
       python -m mmdataseg convert CHECKPOINT --to OUT [options]
       python -m mmdataseg checks [--json]

train    train a model with a config
test     compute the scores of a checkpoint
predict  segment images and videos, with the classes of the training or with class names of your own
web      segment single images in the browser
convert  turn a public Mask2Former checkpoint into one that segments classes by name
checks   show what is installed, found and working on this machine

CONFIG is a path, or the file name of one of mmdataseg's own configs.
Options: python -m mmdataseg train -h and so on."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``train``, ``test``, ``predict``, ``web``, ``convert`` or ``checks`` with the arguments that follow it."""
    argv = sys.argv[1:] if argv is None else argv
    commands = dict(
        train=run_train, test=run_test, predict=run_predict, web=run_web, convert=run_convert, checks=run_checks
    )
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        sys.exit(0 if argv else 2)
    if argv[0] not in commands:
        print(f"{USAGE}\n\nunknown command {argv[0]!r}; expected one of {', '.join(commands)}", file=sys.stderr)
        sys.exit(2)
    commands[argv[0]](argv[1:], prog=f"python -m mmdataseg {argv[0]}")


def run_train(argv: Sequence[str] | None = None, *, prog: str | None = None) -> None:
    """Parse the arguments of a training and run it.

    Raises:
        SystemExit: With code 2 for a wrong command line, or code 1 for any other mistake of the user.
    """
    parser = build_train_parser(prog)
    args = parser.parse_args(argv)
    path = _find(parser, args)
    if args.iterations is not None and args.iterations < 1:
        parser.error("--iterations must be at least 1")
    if args.iterations is not None and "train_cfg.max_iters" in args.cfg_options:
        parser.error("--iterations and --cfg-options train_cfg.max_iters both set the length of the training; give one")
    if args.resume not in (None, "auto"):
        _require_checkpoint(parser, args.resume)
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    with user_errors(debug=_debug(args.cfg_options)):
        check_config(path, args.cfg_options, "train_dataloader", "val_dataloader")
        # only now, since torch and the mm* packages take seconds; and before other imports: it hides what mmdet prints
        register_all_modules()
        from mmdataseg.apis.runs import run_training

        run_training(
            path,
            work_dir=args.work_dir,
            options=args.cfg_options,
            iterations=args.iterations,
            resume=True if args.resume == "auto" else args.resume or False,
            amp=args.amp,
            auto_scale_lr=args.auto_scale_lr,
            launcher=args.launcher,
            trust_checkpoint=args.trust_checkpoint,
        )


def run_test(argv: Sequence[str] | None = None, *, prog: str | None = None) -> None:
    """Parse the arguments of a test and run it. It exits as `run_train` does."""
    parser = build_test_parser(prog)
    args = parser.parse_args(argv)
    _check_test_args(parser, args)
    path = None if args.config is None else _find(parser, args)
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    with user_errors(debug=_debug(args.cfg_options)):
        if path is not None:
            check_config(path, args.cfg_options, "test_dataloader")
        register_all_modules()
        from mmdataseg.apis.runs import run_testing

        run_testing(
            path,
            args.checkpoint,
            work_dir=args.work_dir,
            options=_with_inference(args.cfg_options, weight=args.new_words_weight, bfloat16=args.bfloat16),
            out=args.out,
            show_dir=args.show_dir,
            classwise=args.classwise,
            launcher=args.launcher,
            trust_checkpoint=args.trust_checkpoint,
        )


def run_predict(argv: Sequence[str] | None = None, *, prog: str | None = None) -> None:
    """Parse the arguments of a prediction and write its files.

    It exits as `run_train` does; also with code 1, after all other images, if some could not be read.
    """
    parser = build_predict_parser(prog)
    args = vars(parser.parse_args(argv))
    if not 0 <= args["min_score"] <= 1:
        parser.error(f"--min-score: expected 0 .. 1, got {args['min_score']}")
    if args["batch_size"] < 1 or args["max_pixels"] < 1:
        parser.error("--batch-size and --max-pixels: expected 1 or more")
    options = _with_inference(
        args.pop("cfg_options"), weight=args.pop("new_words_weight"), bfloat16=args.pop("bfloat16")
    )
    with user_errors(debug=_debug(options)):
        config, checkpoint, images = split_inputs(args.pop("inputs"))
        check_paths(images)
        check_files(args["embeddings"], args["pretrained"])
        check_outputs(images=images, save=args["save"], show=args["show"])
        for warning in check_words(things=args["things"], stuff=args["stuff"], embeddings=args["embeddings"]):
            print(f"warning: {warning}", file=sys.stderr)

        register_all_modules()
        from mmdataseg.apis.predict.command import predict

        left_out = predict(checkpoint, images, config=config, options=options, **args)
    if left_out:
        number = counted(len(left_out), "image was", "images were")
        print("\n".join([f"error: {number} left out:", *left_out]), file=sys.stderr)
        sys.exit(1)


def run_web(argv: Sequence[str] | None = None, *, prog: str | None = None) -> None:
    """Parse the arguments of the page and serve it until the user stops it. It exits as `run_train` does."""
    args = vars(build_web_parser(prog).parse_args(argv))
    options = args.pop("cfg_options")
    with user_errors(debug=_debug(options)):
        check_files(args["pretrained"])

        register_all_modules()
        from mmdataseg.apis.web.asking import Limits
        from mmdataseg.apis.web.serving import serve

        limits = Limits(**{name: args.pop(f"max_{name}") for name in ("mib", "pixels", "words", "seconds")})
        serve(args.pop("checkpoint"), options=options, limits=limits, **args)


def run_convert(argv: Sequence[str] | None = None, *, prog: str | None = None) -> None:
    """Parse the arguments of a conversion and run it. It exits as `run_train` does."""
    parser = build_convert_parser(prog)
    args = parser.parse_args(argv)
    _require_checkpoint(parser, args.checkpoint)
    with user_errors():
        register_all_modules()
        from mmdataseg.apis.convert import convert

        print(convert(**vars(args), progress=sys.stderr.isatty()))


def run_checks(argv: Sequence[str] | None = None, *, prog: str | None = None) -> None:
    """Print what is installed, what is found and what works. The exit code is 1 if something is broken."""
    args = build_checks_parser(prog).parse_args(argv)
    from mmdataseg.apis.checks.report import print_report, run_all

    if code := print_report(run_all(), as_json=args.json):
        sys.exit(code)


def _check_test_args(parser: ArgumentParser, args: Namespace) -> None:
    given = [word for word in (args.config, args.checkpoint, args.checkpoint_option) if word is not None]
    configs = [word for word in given if is_config(word)]
    if len(configs) > 1 or len(given) - len(configs) != 1:
        parser.error(
            "give a checkpoint, such as work_dirs/NAME/iter_2000.pth, or a config and then a checkpoint, "
            f"got {' '.join(given) or 'neither'}"
        )
    args.config = next(iter(configs), None)
    (args.checkpoint,) = (word for word in given if word not in configs)
    if args.out is not None and not args.out.endswith((".pkl", ".pickle")):
        parser.error(f"--out must end in .pkl or .pickle, got {args.out!r}")
    _require_checkpoint(parser, args.checkpoint)


def _with_inference(options: dict[str, Any], *, weight: float | None, bfloat16: bool) -> dict[str, Any]:
    """Add the weight of new words and bfloat16 to the settings of a config that the user changes."""
    added = {
        "model.classifier.new_words_weight": weight,
        "model.inference_dtype": "bfloat16" if bfloat16 else None,
    }
    return options | {key: value for key, value in added.items() if value is not None}


def _require_checkpoint(parser: ArgumentParser, checkpoint: str) -> None:
    if "://" not in checkpoint and not os.path.isfile(checkpoint):
        parser.error(f"checkpoint {checkpoint!r} is not a file")


def _find(parser: ArgumentParser, args: Namespace) -> Path:
    try:
        path = find_config(args.config)
    except UserError as error:
        parser.error(str(error))
    if not os.path.isfile(args.config):
        print(f"config {args.config!r}: using {path}", file=sys.stderr)
    return path


def _debug(options: dict[str, Any]) -> bool:
    return options.get("log_level") == "DEBUG"
