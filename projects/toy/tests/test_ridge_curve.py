"""The ridge curve's table and its configs; the runs themselves are not tested."""

from mmengine.config import Config

from mmdataseg.apis.config.files import find_config
from projects.toy import ridge_curve


def test_the_table_has_a_row_for_each_model_and_empty_cells_for_missing_scores() -> None:
    found = {"mmdet's own": {"toy_panoptic/PQ": 12.34567}, "ridge 0": {"toy_panoptic/PQ": 12.34567, "toy_open/PQ": 3.0}}
    first, _, theirs, ours = ridge_curve.table(found).splitlines()
    assert first.startswith("| model | trained classes, PQ |")
    assert theirs == "| mmdet's own | 12.3457 |  |  |  |  |  |"
    assert ours == "| ridge 0 | 12.3457 |  |  |  | 3.0000 |  |"


def test_the_curve_has_a_point_for_each_ridge_and_the_co_trained_model_as_a_line(tmp_path) -> None:
    scores = {key: 10.0 for key, _ in ridge_curve.SHOWN}
    found = {"mmdet's own": {"toy_panoptic/PQ": 10.0}, "ridge 0": scores, "ridge 0.3": scores, "co-trained": scores}
    ridge_curve.draw(found, tmp_path / "with.svg")
    text = (tmp_path / "with.svg").read_text()
    assert all(f">{word}<" in text for word in ("0.3", "ridge; dotted: the co-trained model", "unseen names, PQ"))
    ridge_curve.draw({name: found[name] for name in ("ridge 0", "ridge 0.3")}, tmp_path / "without.svg")
    assert "dotted" not in (tmp_path / "without.svg").read_text()
    ridge_curve.draw(found, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text() == text


def test_a_converted_model_has_the_originals_panoptic_thresholds() -> None:
    theirs, ours = (
        Config.fromfile(find_config(name)).model for name in ("mmdet-mask2former_toy_panoptic.py", "mask2former_toy.py")
    )
    read = ours.postprocessors.panoptic
    assert (theirs.test_cfg.object_mask_thr, theirs.test_cfg.iou_thr) == (
        read.score_threshold,
        read.get("kept_share", 0.8),
    )


def test_there_are_six_ridges_and_the_first_is_zero() -> None:
    args = ridge_curve.parse_args(["a.pth"])
    assert len(args.ridges) == 6
    assert args.ridges[0] == 0
