"""mmengine's Runner with short console output, safe checkpoint files and a resolved config."""

import logging
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from mmdataseg.apis.config.plain import PlainConfig
from mmdataseg.formats.whole_files import written_aside
from mmdataseg.registry import type_name

# mmengine's default hooks; it accepts None for these only
_MMENGINE_HOOKS = ("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint")


def build_runner(cfg: Config) -> Runner:
    """Build the Runner of a config: its ``runner_type`` if it has one, else `NamedConfigRunner`."""
    return NamedConfigRunner.from_cfg(PlainConfig.of(cfg)) if "runner_type" not in cfg else RUNNERS.build(cfg)


def config_name(path: str | Path) -> str:
    """Return the name of a run, which is that of the config, without the ``_resolved`` that an earlier run added."""
    return Path(path).stem.removesuffix("_resolved")


class NamedConfigRunner(Runner):
    """mmengine's Runner with short console output, which saves the resolved config as ``<config>_resolved.py``.

    With mmengine's own name, ``<config>.py``, mim would find two files with the same name in a source tree that has a
    ``work_dirs``, and would refuse both.
    """

    def dump_config(self) -> None:
        """Write the resolved config, with all bases merged, into the work_dir."""
        name = config_name(self.cfg.filename) if self.cfg.filename else self.timestamp
        self.cfg.dump(str(Path(self.work_dir, f"{name}_resolved.py")))

    def register_default_hooks(self, hooks: dict[str, Hook | dict[str, Any] | None] | None = None) -> None:
        """Register mmengine's default hooks and the config's. None removes a hook, also one that mmengine lacks."""
        kept = {name: hook for name, hook in (hooks or {}).items() if hook is not None or name in _MMENGINE_HOOKS}
        super().register_default_hooks(kept)

    def save_checkpoint(self, out_dir: str, filename: str, *args: Any, **kwargs: Any) -> None:
        """Save a checkpoint to a temporary file and rename it, so that no partial checkpoint can remain."""
        if "://" in out_dir or not is_main_process():  # a remote store takes whole files; other ranks save nothing
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        with written_aside(Path(out_dir, filename)) as aside:
            super().save_checkpoint(out_dir, aside.name, *args, **kwargs)

    def build_visualizer(self, visualizer: Visualizer | dict[str, Any] | None = None) -> Visualizer:
        """Build the visualizer of this run.

        Its name is the log folder. With the name of an earlier run in this process, mmengine would return the
        visualizer of that run, which writes into that run's folder. The config is copied, because mmengine adds the
        folder to its backends.
        """
        if isinstance(visualizer, dict):
            visualizer = {**deepcopy(visualizer), "name": self.log_dir}
        return super().build_visualizer(visualizer)

    def build_logger(self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any) -> MMLogger:
        """Build mmengine's logger, without the thousands of console lines before the first iteration.

        The log file has everything. So does the console at log level DEBUG.
        """
        logger = super().build_logger(log_level, log_file, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler) and handler.level > logging.DEBUG:
                handler.addFilter(_is_brief)
                if "MultiSourceEvaluator" in map(type_name, self.cfg.values()):
                    handler.addFilter(_is_not_scores)  # its table has them
        return logger


# mmengine and mmdet log these at level INFO of the same logger, so only the text tells them apart from the rest.
_LONG_RECORDS = (
    "System environment",
    "Config:",
    "Hooks will be executed",
    "paramwise_options",
    "Distributed training is not used",
    "Evaluating segm...",
    "segm_mAP_copypaste",
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
)
_FROZEN = "is skipped since its requires_grad=False"  # the end of a line for each frozen parameter
_SCORES = re.compile(r"Iter\((val|test)\) +\[ *(\d+)/ *\2\] +\S+/\S+: ")


def _is_brief(record: logging.LogRecord) -> bool:
    """Return whether to print a record: not the environment, the config, the hooks or lines for each parameter."""
    message = record.getMessage()
    return not message.lstrip("\n-").startswith(_LONG_RECORDS) and not message.endswith(_FROZEN)


def _is_not_scores(record: logging.LogRecord) -> bool:
    return not _SCORES.match(record.getMessage())


class DumpPredictionsHook(Hook):
    """Write the predictions of a test to a pickle file, whatever evaluator the config has.

    Args:
        out_file: Path of the file, ending in .pkl or .pickle. It will hold a list of dicts, one per sample in the
            dataset's order, with the fields and metainfo of its DetDataSample except the ground truth. Instance masks
            are COCO RLE.
    """

    def __init__(self, *, out_file: str) -> None:
        from mmdet.evaluation import DumpDetResults

        self._dump = DumpDetResults(out_file_path=out_file)

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:  # noqa: ARG002
        """Keep the predictions of a batch on the CPU."""
        samples = [{k: v for k, v in s.to_dict().items() if not k.startswith("gt_")} for s in outputs]
        self._dump.process(data_batch, samples)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Gather the predictions of all ranks and write them."""
        self._dump.evaluate(size=len(runner.test_dataloader.dataset))
