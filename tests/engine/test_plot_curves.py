"""Learning curves: what is read, what is drawn."""

import json
from pathlib import Path
from types import SimpleNamespace

import mmcv
import pytest

from mmdataseg.engine.plot_curves import PlotCurves
from mmdataseg.visualization import curves
from mmdataseg.visualization.curves import read_curves


def write_log(work_dir: Path, run: str, *lines: dict[str, float]) -> None:
    folder = work_dir / run / "vis_data"
    folder.mkdir(parents=True)
    (folder / "scalars.json").write_text("\n".join(json.dumps(line) for line in lines))


def test_a_resumed_runs_scalars_replace_those_it_did_again(tmp_path: Path) -> None:
    write_log(
        tmp_path, "1", {"a/loss_class": 3.0, "iter": 20, "step": 20}, {"a/loss_class": 2.0, "iter": 40, "step": 40}
    )
    write_log(tmp_path, "2", {"a/loss_class": 1.0, "iter": 40, "step": 40}, {"a/mIoU": 7.5, "step": 40})
    assert read_curves(tmp_path) == {"a/loss_class": [(20, 3.0), (40, 1.0)], "a/mIoU": [(40, 7.5)]}


def test_the_picture_shows_the_chosen_metrics(tmp_path: Path) -> None:
    write_log(tmp_path, "1", {"a/loss_class": 3.0, "iter": 20, "step": 20}, {"a/mIoU": 7.5, "a/PQ": 3.0, "step": 20})
    pictures = []
    for metrics in (("mIoU",), ("mIoU", "PQ")):
        PlotCurves(metrics=metrics).after_train(SimpleNamespace(work_dir=str(tmp_path)))
        pictures.append(mmcv.imread(str(tmp_path / "curves.png")))
    assert pictures[0].shape == pictures[1].shape
    assert (pictures[0] != pictures[1]).any()


def test_merge_has_its_own_panels_if_it_was_logged(tmp_path: Path) -> None:
    write_log(tmp_path, "1", {"a/loss_class": 3.0, "step": 20})
    PlotCurves().after_train(SimpleNamespace(work_dir=str(tmp_path)))
    alone = mmcv.imread(str(tmp_path / "curves.png"))
    merged = {"a/merged_share": 0.9, "a/split_share": 0.1, "a/rows_per_target": 2.5}
    write_log(tmp_path, "2", {"a/loss_class": 2.0, **merged, "step": 40})
    PlotCurves().after_train(SimpleNamespace(work_dir=str(tmp_path)))
    assert len(mmcv.imread(str(tmp_path / "curves.png"))) == 3 * len(alone)


def test_the_metrics_of_a_single_validation_are_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(curves, "_draw_bars", lambda _, title, found, __: drawn.append(f"{title}: {sorted(found)}"))
    losses = [{"a/loss_class": 3.0, "step": 20}, {"a/loss_class": 2.0, "step": 40}]
    write_log(tmp_path, "1", *losses, {"a/mIoU": 7.5, "b/PQ": 3.0, "step": 40})
    PlotCurves().after_train(SimpleNamespace(work_dir=str(tmp_path)))
    assert drawn == ["metrics in percent: ['a/mIoU', 'b/PQ']"]
    write_log(tmp_path, "2", {"a/mIoU": 8.5, "step": 60})
    PlotCurves().after_train(SimpleNamespace(work_dir=str(tmp_path)))
    assert len(drawn) == 1, "two validations are a curve"


def test_a_bar_has_its_name_its_value_and_the_iteration() -> None:
    from matplotlib.figure import Figure

    panel = Figure().subplots()
    curves._draw_bars(panel, "metrics", {"a/mIoU": [(40, 7.5)], "b/PQ": [(40, 0.0)]}, {"a/mIoU": "C0", "b/PQ": "C1"})
    assert panel.get_title() == "metrics, at iteration 40"
    assert [tick.get_text() for tick in panel.get_yticklabels()] == ["a/mIoU", "b/PQ"]
    assert [text.get_text() for text in panel.texts] == ["7.5", "0"]
    assert [bar.get_width() for bar in panel.patches] == [7.5, 0.0]


def test_without_logged_scalars_nothing_is_drawn(tmp_path: Path) -> None:
    PlotCurves().after_train(SimpleNamespace(work_dir=str(tmp_path)))
    assert not (tmp_path / "curves.png").exists()
