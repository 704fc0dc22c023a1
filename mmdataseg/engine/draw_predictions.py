"""Pictures of what the model says, written while it is tested."""

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

    Needs `MultiSourceEvaluator`, which knows the sources tested. With several ranks, the first one draws of its share.

    Args:
        num_per_source: Pictures of each source.
        out_dir: Where they go, as ``<source>_<task>_<number>.png``. None: ``pictures`` in the work_dir.
        min_score: Instances with a lower score are left out.

    Raises:
        UserError: No picture wanted; a score outside 0 .. 1.
    """

    def __init__(self, *, num_per_source: int = 4, out_dir: str | None = None, min_score: float = 0.3) -> None:
        if num_per_source < 1:
            raise UserError(f"DrawPredictions: expected num_per_source >= 1, got {num_per_source}; leave the hook out")
        if not 0 <= min_score <= 1:
            raise UserError(f"DrawPredictions: expected min_score in 0 .. 1, got {min_score}")
        self.num_per_source = num_per_source
        self.out_dir = out_dir
        self.min_score = min_score
        self._drawn: dict[str, int] = {}

    def before_test_epoch(self, runner: Runner) -> None:
        """Start counting anew.

        Args:
            runner: Of the test.

        Raises:
            UserError: The evaluator knows no sources.
        """
        if not hasattr(runner.test_evaluator, "sources"):
            raise UserError(
                "DrawPredictions takes class names from the sources of the test evaluator, got "
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
        """Draw the samples of a batch whose source has not had its pictures yet.

        Args:
            runner: Of the test.
            batch_idx: Not used.
            data_batch: Not used.
            outputs: Predictions with their ground truth.
        """
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
        """Say where the pictures are.

        Args:
            runner: Of the test.
            metrics: Not used.
        """
        if is_main_process():
            runner.logger.info(f"{sum(self._drawn.values())} pictures of predictions are in {self._folder(runner)}")

    def _folder(self, runner: Runner) -> Path:
        return Path(self.out_dir or Path(runner.work_dir) / "pictures")
