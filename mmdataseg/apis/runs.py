"""Run a training or a test: read the config, apply the user's options, and start mmengine's Runner."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.runner import Runner

from mmdataseg.apis.config.checking import check_components, check_leaf
from mmdataseg.apis.config.data_roots import check_data_roots
from mmdataseg.apis.config.reading import read_config
from mmdataseg.apis.config.stored import completed_for_test
from mmdataseg.apis.cpu_threads import crowded_threads
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.apis.training.initial_weights import fetch_initial_weights
from mmdataseg.apis.training.ranks import (
    check_launcher,
    check_recomputation,
    check_strategy,
    lost_ranks_named,
    start_without_gpus,
)
from mmdataseg.apis.training.runner import DumpPredictionsHook, build_runner, config_name
from mmdataseg.apis.training.schedule import scale_schedule
from mmdataseg.checkpoints.mmengine_loading import use_safe_reader
from mmdataseg.checkpoints.reading import read_checkpoint
from mmdataseg.engine.whole_checkpoints import CHECKPOINT_STEM, checkpoint_to_resume, require_whole
from mmdataseg.errors import UserError
from mmdataseg.registry import type_name

Launcher = Literal["none", "pytorch", "slurm", "mpi"]


def run_training(
    config: str | PathLike[str] | Config,
    *,
    work_dir: str | None = None,
    options: Mapping[str, Any] | None = None,
    iterations: int | None = None,
    resume: bool | str = False,
    amp: bool = False,
    auto_scale_lr: bool = False,
    launcher: Launcher = "none",
    trust_checkpoint: bool = False,
) -> Runner:
    """Train with a config. The log starts with the length of the training, the device and the work_dir.

    Args:
        config: Path of a config, the file name of one of this package's configs, or a config object.
        work_dir: Folder for logs and checkpoints; None: the config's, or ``work_dirs/<name of the config>``.
        options: Dotted name of a setting -> value, as in ``--cfg-options``.
        iterations: Number of iterations, to which the learning-rate schedule is scaled; None: the config's.
        resume: Path of a checkpoint to continue from; True: the latest checkpoint in the work_dir, if there is one.
        amp: Train in mixed precision.
        auto_scale_lr: Scale the learning rate by the batch size over the config's ``auto_scale_lr.base_batch_size``.
        launcher: Launcher of the processes.
        trust_checkpoint: Run code stored in checkpoints. Otherwise only tensors and plain values are read.

    Returns:
        The Runner, after the training.

    Raises:
        MissingFileError: The config or the data do not exist (`check_data_roots`).
        UserError: As `read_config`, `check_leaf`, `scale_schedule`, `require_whole`, `check_components`,
            `check_strategy`, `check_recomputation`, `fetch_initial_weights` and the components; the config is only for
            testing; mixed precision has no GPU or cannot replace the config's optimizer wrapper; or the config has no
            base batch size to scale the learning rate from.
    """
    cfg = load_config(config, work_dir=work_dir, options=options, launcher=launcher)
    check_leaf(cfg)
    set_training(cfg, resume=resume, amp=amp, auto_scale_lr=auto_scale_lr)
    if iterations is not None:
        scale_schedule(cfg, iterations)
    require_whole(cfg.get("load_from") or "")
    register_all_modules()
    use_safe_reader(trust=trust_checkpoint)
    check_components(cfg)
    check_strategy(cfg)
    check_recomputation(cfg)
    check_data_roots(cfg, "train_dataloader", "val_dataloader")
    fetch_initial_weights(cfg)
    found, said = checkpoint_to_resume(Path(cfg.work_dir)) if resume is True else (None, "")
    cfg.load_from = str(found) if found is not None else cfg.get("load_from")
    start_without_gpus(cfg)
    runner = build_runner(cfg)
    if said:
        runner.logger.warning(said)
    runner.register_hook(dict(type="mmdataseg.CheckWeights", testing=False))
    runner.register_hook(dict(type="mmdataseg.SameOptimization"))
    runner.register_hook(dict(type="mmdataseg.FiniteTraining"))
    units = {"max_iters": "iterations", "max_epochs": "epochs"}
    amounts = [f"{cfg.train_cfg[key]} {unit}" for key, unit in units.items() if key in cfg.train_cfg]
    runner.logger.info(f"training: {', '.join(amounts)} on {get_device()}, into {runner.work_dir}")
    if crowded := crowded_threads(get_device()):
        runner.logger.warning(crowded)
    earlier = Path(runner.work_dir, "last_checkpoint")
    if earlier.is_file() and not cfg.get("resume"):
        ended = earlier.read_text(encoding="utf-8")
        runner.logger.warning(
            f"{runner.work_dir} holds an earlier run, which ended at {ended}; --resume goes on with it, --work-dir "
            "takes another folder"
        )
    with lost_ranks_named(then="run the same command with --resume"):
        runner.train()
    return runner


def run_testing(
    config: str | PathLike[str] | Config | None,
    checkpoint: str,
    *,
    work_dir: str | None = None,
    options: Mapping[str, Any] | None = None,
    out: str | None = None,
    show_dir: str | None = None,
    classwise: bool = False,
    launcher: Launcher = "none",
    trust_checkpoint: bool = False,
) -> dict[str, float]:
    """Test with a config.

    Args:
        config: As for `run_training`. If it has no model, the checkpoint's config supplies it. None: the checkpoint's
            config supplies the data, too.
        checkpoint: Path or address of the weights.
        work_dir: As for `run_training`. Without a config, None means ``work_dirs/<folder of the checkpoint>``, or
            ``work_dirs/<checkpoint>`` if its name is not one that a training gives.
        options: As for `run_training`.
        out: Also write the predictions to this pickle file.
        show_dir: Also draw the predictions into this folder.
        classwise: Also report the scores of each class.
        launcher: As for `run_training`.
        trust_checkpoint: As for `run_training`.

    Returns:
        Name -> score.

    Raises:
        MissingFileError: The config or the data do not exist (`check_data_roots`).
        UserError: As `require_whole`, `read_config`, `check_components`, `completed_for_test` and the components; the
            config has neither a model nor test data; ``show_dir`` is given but the config has no visualization hook; or
            ``classwise`` is given but the config has another evaluator.
    """
    require_whole(checkpoint)
    read = None if config is None else read_config(config)
    if read is not None and read.get("test_dataloader") is None:
        check_leaf(read)
    if read is None or read.get("model") is None:
        read = completed_for_test(read, read_checkpoint(checkpoint, trust=trust_checkpoint))
    if work_dir is None and read.filename is None:
        work_dir = str(Path("work_dirs", _run_of(checkpoint)))
    cfg = load_config(read, work_dir=work_dir, options=options, launcher=launcher)
    set_test(cfg, checkpoint=checkpoint, show_dir=show_dir, classwise=classwise)
    register_all_modules()
    use_safe_reader(trust=trust_checkpoint)
    check_components(cfg)
    check_data_roots(cfg, "test_dataloader")
    start_without_gpus(cfg)
    runner = build_runner(cfg)
    if crowded := crowded_threads(get_device()):
        runner.logger.warning(crowded)
    runner.register_hook(dict(type="mmdataseg.CheckWeights", testing=True))
    if out is not None:
        runner.register_hook(DumpPredictionsHook(out_file=out))
    with lost_ranks_named(then="run the same command again"):
        return runner.test()


def _run_of(checkpoint: str) -> str:
    """Return the name of the training that a checkpoint is from: every training has an iter_N.pth in its folder."""
    path = Path(checkpoint)
    return path.absolute().parent.name if CHECKPOINT_STEM.fullmatch(path.stem) else path.stem


def load_config(
    config: str | PathLike[str] | Config,
    *,
    work_dir: str | None = None,
    options: Mapping[str, Any] | None = None,
    launcher: Launcher = "none",
) -> Config:
    """Read a config and apply the options that training and testing share.

    The work_dir is the argument, else the config's, else ``work_dirs/<name of the config>``.

    Raises:
        UserError: As `read_config` and `check_launcher`.
    """
    check_launcher(launcher)
    cfg = read_config(config, options)
    cfg.launcher = launcher
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get("work_dir") is None:
        cfg.work_dir = str(Path("work_dirs", config_name(cfg.filename)))
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        loader = cfg.get(name)
        if loader is not None and not loader.get("num_workers", 0):  # torch refuses both without workers
            loader.persistent_workers = False
            loader.pop("prefetch_factor", None)
    return cfg


def set_training(cfg: Config, *, resume: bool | str = False, amp: bool = False, auto_scale_lr: bool = False) -> None:
    """Write the options of a training into a config; see `run_training` for arguments and errors."""
    if cfg.get("train_cfg") is None:
        raise UserError(f"config {cfg.filename} only tests, it has no train_cfg", remedy="use test, with a checkpoint")
    if amp:
        if get_device() == "cpu":
            raise UserError(
                "--amp: mmengine trains in mixed precision only on a GPU, and there is none", remedy="leave it out"
            )
        wrapper = cfg.optim_wrapper.get("type", "OptimWrapper")
        if wrapper not in ("OptimWrapper", "AmpOptimWrapper"):
            raise UserError(
                f"--amp needs optim_wrapper.type 'OptimWrapper' or 'AmpOptimWrapper', config has {wrapper!r}",
                remedy="set mixed precision in the config instead",
            )
        cfg.optim_wrapper.type = "AmpOptimWrapper"
        cfg.optim_wrapper.setdefault("loss_scale", "dynamic")
    if auto_scale_lr:
        if cfg.get("auto_scale_lr", {}).get("base_batch_size") is None:
            raise UserError(
                "--auto-scale-lr needs auto_scale_lr = dict(base_batch_size=...) in the config, the batch size its "
                "learning rate was chosen for; found none"
            )
        cfg.auto_scale_lr.enable = True
    if resume:
        cfg.resume = True
        cfg.load_from = None if resume is True else resume


def set_test(cfg: Config, *, checkpoint: str, show_dir: str | None = None, classwise: bool = False) -> None:
    """Write the options of a test into a config; see `run_testing` for arguments and errors."""
    cfg.load_from = checkpoint
    if classwise:
        evaluator = cfg.get("test_evaluator")
        if type_name(evaluator) != "MultiSourceEvaluator":
            raise UserError(
                "--classwise needs a test_evaluator of type 'mmdataseg.MultiSourceEvaluator'",
                remedy="set classwise=True in the metrics of this config",
            )
        evaluator.classwise = True
    if show_dir is None:
        return
    hook = cfg.get("default_hooks", {}).get("visualization")
    # absolute, because mmdet's hook would otherwise put it into work_dir/<time stamp>
    folder = str(Path(show_dir).absolute())
    if hook is None:
        raise UserError(
            "--show-dir needs default_hooks.visualization in the config, found none",
            remedy="add one to it, e.g. visualization=dict(type='mmdataseg.DrawPredictions')",
        )
    if type_name(hook) == "DrawPredictions":
        hook.out_dir = folder
    else:  # mmdet's and mmseg's hooks
        hook.draw = True
        hook.test_out_dir = folder
