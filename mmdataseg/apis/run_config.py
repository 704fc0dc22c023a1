"""A config and the wishes of a command line, put together and handed to mmengine's Runner."""

import logging
import re
import warnings
from argparse import Namespace
from collections.abc import Mapping
from contextlib import redirect_stdout
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from io import StringIO
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmdataseg.apis.mistakes import told_in_a_line
from mmdataseg.apis.plain_config import PlainConfig

# settings that mmengine's Runner and `build_runner` read from a config, and that are no parameters of the Runner
_MORE_SETTINGS = (
    *("activation_checkpointing", "compile", "efficient_conv_bn_eval", "find_unused_parameters", "model_wrapper_cfg"),
    *("runner_type", "sync_bn"),
)
_UNITS = {"max_iters": "iterations", "max_epochs": "epochs"}
ROOMS = ("models", "datasets", "evaluation", "engine")


def register_all_modules() -> None:
    """Import every room, so that all components are registered.

    A config's ``type='mmdataseg.X'`` does this by itself, but mmengine then hides an ImportError behind "X is not in
    the registry"; here it is raised. What other packages say of options that nothing here uses is not passed on.
    """
    warnings.filterwarnings("ignore", message="faster_coco_eval is not installed")
    warnings.filterwarnings("ignore", message="torch.meshgrid")  # mmdet's deformable attention
    with redirect_stdout(StringIO()) as said:
        for room in ROOMS:
            import_module(f"mmdataseg.{room}")
    for line in said.getvalue().splitlines():
        if not line.startswith("Could not import OneDL"):
            print(line)


def load_config(path: Path, args: Namespace) -> Config:
    """Read a config and apply what training and testing have in common: launcher, ``--cfg-options``, work_dir.

    The work_dir is the command line's, else the config's, else ``work_dirs/<name of the config>``.

    Raises:
        ValueError: As `read_config`.
    """
    cfg = read_config(path, args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get("work_dir") is None:
        cfg.work_dir = str(Path("work_dirs", config_name(path)))
    return cfg


def read_config(path: Path, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config and change some of its settings.

    Args:
        path: Of the config.
        options: Dotted name of a setting -> value, as from ``--cfg-options``.

    Raises:
        ValueError: An option that neither the config nor mmengine's Runner has, which would be taken without a word.
    """
    cfg = Config.fromfile(path)
    known = {*cfg, *signature(Runner).parameters, *_MORE_SETTINGS}
    for option in options or ():
        name = option.partition(".")[0]
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {sorted(key for key in cfg if key[0] != '_')}"
            raise ValueError(f"--cfg-options {option}: the config has no {name!r}; {hint}")
    cfg.merge_from_dict(dict(options or {}))
    return cfg


def config_name(path: str | Path) -> str:
    """Name of a run: the config's, also when the run starts from the resolved config that an earlier one left."""
    return Path(path).stem.removesuffix("_resolved")


def apply_train_args(cfg: Config, args: Namespace) -> None:
    """Write ``--amp``, ``--auto-scale-lr`` and ``--resume`` into the config.

    Raises:
        ValueError: The config only tests; its optimizer wrapper is one that mixed precision cannot replace, or there
            is no device for it; or there is no base batch size to scale from.
    """
    if cfg.get("train_cfg") is None:
        raise ValueError(f"config {cfg.filename} only tests, it has no train_cfg; use test, with a checkpoint")
    if args.amp:
        if get_device() == "cpu":
            raise ValueError(
                "--amp: mmengine trains in mixed precision on a GPU alone, and there is none; leave it out"
            )
        wrapper = cfg.optim_wrapper.get("type", "OptimWrapper")
        if wrapper not in ("OptimWrapper", "AmpOptimWrapper"):
            raise ValueError(
                f"--amp needs optim_wrapper.type 'OptimWrapper' or 'AmpOptimWrapper', config has {wrapper!r}; "
                "set mixed precision in the config instead"
            )
        cfg.optim_wrapper.type = "AmpOptimWrapper"
        cfg.optim_wrapper.setdefault("loss_scale", "dynamic")
    if args.auto_scale_lr:
        if cfg.get("auto_scale_lr", {}).get("base_batch_size") is None:
            raise ValueError(
                "--auto-scale-lr needs auto_scale_lr = dict(base_batch_size=...) in the config, the batch size its "
                "learning rate was chosen for; found none"
            )
        cfg.auto_scale_lr.enable = True
    if args.resume == "auto":
        cfg.resume, cfg.load_from = True, None
    elif args.resume is not None:
        cfg.resume, cfg.load_from = True, args.resume


def apply_test_args(cfg: Config, args: Namespace) -> None:
    """Write the checkpoint and ``--show-dir`` into the config.

    Raises:
        ValueError: Pictures are asked for and the config has no visualization hook.
    """
    cfg.load_from = args.checkpoint
    if args.show_dir is not None:
        hook = cfg.get("default_hooks", {}).get("visualization")
        # absolute: mmdet's hook joins it to work_dir and a time stamp, and the user asked for this very folder
        folder = str(Path(args.show_dir).absolute())
        if hook is None:
            raise ValueError(
                "--show-dir needs default_hooks.visualization in the config, found none; "
                "add one to it, e.g. visualization=dict(type='mmdataseg.DrawPredictions')"
            )
        if hook.type == "mmdataseg.DrawPredictions":
            hook.out_dir = folder
        else:  # mmdet's and mmseg's hooks
            hook.draw = True
            hook.test_out_dir = folder


def run_train(cfg: Config) -> None:
    """Train as the config says, and say at the start for how long, on what, and where to.

    Raises:
        SystemExit: The user's mistake, see `told_in_a_line`.
    """
    register_all_modules()
    with told_in_a_line(debug=cfg.get("log_level") == "DEBUG") as begun:
        runner = build_runner(cfg)
        runner.register_hook(begun)
        amounts = [f"{cfg.train_cfg[key]} {unit}" for key, unit in _UNITS.items() if key in cfg.train_cfg]
        runner.logger.info(f"training: {', '.join(amounts)} on {get_device()}, into {runner.work_dir}")
        earlier = Path(runner.work_dir, "last_checkpoint")
        if earlier.is_file() and not cfg.get("resume"):
            runner.logger.warning(
                f"{runner.work_dir} holds an earlier run, which ended at {earlier.read_text()}; --resume goes on with "
                "it, --work-dir takes another folder"
            )
        runner.train()


def run_test(cfg: Config, *, out: str | None = None) -> None:
    """Test as the config says; with ``out``, also write the predictions to that pickle file.

    Raises:
        SystemExit: The user's mistake, see `told_in_a_line`.
    """
    register_all_modules()
    with told_in_a_line(debug=cfg.get("log_level") == "DEBUG") as begun:
        runner = build_runner(cfg)
        runner.register_hook(begun)
        if out is not None:
            runner.register_hook(DumpPredictionsHook(out_file=out))
        runner.test()


def build_runner(cfg: Config) -> Runner:
    """The Runner of a config: ``runner_type`` when it names one, else mmengine's."""
    return NamedConfigRunner.from_cfg(PlainConfig.of(cfg)) if "runner_type" not in cfg else RUNNERS.build(cfg)


class NamedConfigRunner(Runner):
    """mmengine's Runner with a short console, and a resolved config called ``<config>_resolved.py``.

    Under the config's own name, mim would find two files of that name in a source tree with a ``work_dirs``, and
    refuse both.
    """

    def dump_config(self) -> None:
        """Write the config as it runs, all bases merged, into the work_dir."""
        name = config_name(self.cfg.filename) if self.cfg.filename else self.timestamp
        self.cfg.dump(str(Path(self.work_dir, f"{name}_resolved.py")))

    def build_logger(self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any) -> MMLogger:
        """mmengine's logger; on the console without what fills thousands of lines before the first iteration.

        The log file has everything, and so has the console at log level DEBUG.
        """
        logger = super().build_logger(log_level, log_file, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler) and handler.level > logging.DEBUG:
                handler.addFilter(_is_brief)
                if "mmdataseg.MultiSourceEvaluator" in map(_type_of, self.cfg.values()):
                    handler.addFilter(_is_no_line_of_scores)  # they stand in its table
        return logger


# of mmengine, and of mmdet's COCO evaluations
_NOISE = (
    *(
        "System environment",
        "Config:",
        "Hooks will be executed",
        "paramwise_options",
        "Distributed training is not used",
    ),
    *("Evaluating segm...", "segm_mAP_copypaste", '"FileClient" will be deprecated', '"HardDiskBackend" is the alias'),
)
_SCORES = re.compile(r"Iter\((val|test)\) +\[ *(\d+)/ *\2\] +\S+/\S+: ")


def _type_of(value: Any) -> Any:
    return value.get("type") if isinstance(value, dict) else None


def _is_brief(record: logging.LogRecord) -> bool:
    """Whether a record may stand on the console: not environment, config, hooks and each parameter's options."""
    return not record.getMessage().lstrip("\n-").startswith(_NOISE)


def _is_no_line_of_scores(record: logging.LogRecord) -> bool:
    return not _SCORES.match(record.getMessage())


class DumpPredictionsHook(Hook):
    """Write the predictions of a test to a pickle file, whatever evaluator the config has.

    Args:
        out_file: File to write, ending in .pkl or .pickle: a list of dicts, one a sample in the dataset's order, with
            the fields and metainfo of its DetDataSample less the ground truth; instance masks as COCO RLE.
    """

    def __init__(self, *, out_file: str) -> None:
        from mmdet.evaluation import DumpDetResults

        self._dump = DumpDetResults(out_file_path=out_file)

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:  # noqa: ARG002
        """Keep a batch's predictions, on the CPU."""
        samples = [{k: v for k, v in s.to_dict().items() if not k.startswith("gt_")} for s in outputs]
        self._dump.process(data_batch, samples)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Gather all ranks' predictions and write them."""
        self._dump.evaluate(size=len(runner.test_dataloader.dataset))
