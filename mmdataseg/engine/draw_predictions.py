"""Draws pictures of predictions during a test."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmcv
from mmdet.structures import DetDataSample
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdataseg.errors import UserError
from mmdataseg.registry import HOOKS
from mmdataseg.visualization.segments import draw_sample


@HOOKS.register_module()
class DrawPredictions(Hook):
    """Draws image, ground truth and prediction side by side for the first images of each source.

    It needs `MultiSourceEvaluator`, which knows the tested sources. With several ranks, the first rank draws images of
    its share.

    Args:
        num_per_source: Number of pictures per source.
        out_dir: Folder of the pictures, named ``<source>_<task>_<number>.png``. None: ``pictures`` in the work_dir.
        min_score: Instances with a lower score are left out.

    Raises:
        UserError: ``num_per_source`` is below 1, or ``min_score`` is outside 0 .. 1.
    """

    def __init__(self, *, num_per_source: int = 4, out_dir: str | None = None, min_score: float = 0.3) -> None:
        if num_per_source < 1:
            raise UserError(
                f"DrawPredictions: expected num_per_source of at least 1, got {num_per_source}; for no pictures, "
                "remove the hook"
            )
        if not 0 <= min_score <= 1:
            raise UserError(f"DrawPredictions: expected min_score in 0 .. 1, got {min_score}")
        self.num_per_source = num_per_source
        self.out_dir = out_dir
        self.min_score = min_score
        self._drawn: dict[str, int] = {}

    def before_test_epoch(self, runner: Runner) -> None:
        """Reset the counts.

        Raises:
            UserError: The evaluator has no sources.
        """
        if not hasattr(runner.test_evaluator, "sources"):
            raise UserError(
                "DrawPredictions: expected a test evaluator with sources, whose class names it draws, got "
                f"{type(runner.test_evaluator).__name__}; use mmdataseg.MultiSourceEvaluator"
            )
        self._drawn = {source.name: 0 for source in runner.test_evaluator.sources}

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,  # noqa: ARG002
        outputs: Sequence[DetDataSample] | None = None,
    ) -> None:
        """Draw the predictions of a batch, with their ground truth, until each source has its pictures."""
        if not is_main_process():
            return
        sources = {source.name: source for source in runner.test_evaluator.sources}
        for sample in outputs or ():
            source = sources.get(sample.metainfo.get("source"))
            if source is None or self._drawn[source.name] >= self.num_per_source:
                continue
            self._drawn[source.name] += 1
            name = f"{source.name}_{source.task.value}_{self._drawn[source.name]}.png"
            picture = draw_sample(sample.cpu(), source, min_score=self.min_score)
            mmcv.imwrite(picture[..., ::-1], str(self._folder(runner) / name))

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Log where the pictures are."""
        if is_main_process():
            runner.logger.info(f"{sum(self._drawn.values())} pictures of predictions are in {self._folder(runner)}")

    def _folder(self, runner: Runner) -> Path:
        return Path(self.out_dir or Path(runner.work_dir) / "pictures")
