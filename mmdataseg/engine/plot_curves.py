"""Draws learning curves from the scalars that mmengine's visualizer logs."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdataseg.registry import HOOKS
from mmdataseg.visualization.curves import plot_curves, read_curves

MERGE_SHARES = ("merged_share", "split_share")  # of `DaTaSegCriterion`


@HOOKS.register_module()
class PlotCurves(Hook):
    """Draws losses, MERGE and metrics of each source over the iterations, into ``curves.png`` in the work_dir.

    It draws after each validation and at the end of the training, from all runs in the work_dir. So a resumed run has
    its whole curve. It needs the ``LocalVisBackend``, which writes the scalars to files.

    Args:
        metrics: Last parts of the names of the metrics to draw, e.g. ``mIoU``.
    """

    priority = "LOWEST"  # after the logger has written the scalars

    def __init__(self, *, metrics: Sequence[str] = ("mIoU", "PQ", "mask_AP", "mask_AP_filled_boxes", "box_AP")) -> None:
        self.metrics = tuple(metrics)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Draw the training so far. The metrics are read from the files, too."""
        self._draw(runner)

    def after_train(self, runner: Runner) -> None:
        """Draw the whole training."""
        self._draw(runner)

    @master_only
    def _draw(self, runner: Runner) -> None:
        curves = read_curves(Path(runner.work_dir))
        panels = {
            title: {name: points for name, points in curves.items() if belongs(name.rsplit("/", 1)[-1])}
            for title, belongs in (
                ("losses", lambda name: name.startswith("loss_")),
                ("MERGE: proposals merged away, targets that needed a split", MERGE_SHARES.__contains__),
                ("MERGE: rows per target", "rows_per_target".__eq__),
                ("metrics in percent", self.metrics.__contains__),
            )
        }
        if panels["losses"]:
            plot_curves({title: found for title, found in panels.items() if found}, Path(runner.work_dir, "curves.png"))
