"""The ridge curve's table and its configs; the runs themselves are by hand."""

from mmengine.config import Config

from mmdataseg.apis.config_files import find_config
from projects.toy import ridge_curve


def test_the_table_has_a_row_for_each_model_and_leaves_out_what_it_has_not() -> None:
    found = {"mmdet's own": {"toy_panoptic/PQ": 12.34567}, "ridge 0": {"toy_panoptic/PQ": 12.34567, "toy_open/PQ": 3.0}}
    first, _, theirs, ours = ridge_curve.table(found).splitlines()
    assert first.startswith("| model | own words, PQ |")
    assert theirs == "| mmdet's own | 12.3457 |  |  |  |  |  |"
    assert ours == "| ridge 0 | 12.3457 |  |  |  | 3.0000 |  |"


def test_a_converted_model_reads_panoptic_answers_with_the_originals_thresholds() -> None:
    theirs, ours = (
        Config.fromfile(find_config(name)).model for name in ("mmdet-mask2former_toy_panoptic.py", "mask2former_toy.py")
    )
    read = ours.postprocessors.panoptic
    assert (theirs.test_cfg.object_mask_thr, theirs.test_cfg.iou_thr) == (
        read.score_threshold,
        read.get("kept_share", 0.8),
    )


def test_six_ridges_and_the_exact_one_first() -> None:
    args = ridge_curve.parse_args(["a.pth"])
    assert len(args.ridges) == 6
    assert args.ridges[0] == 0
