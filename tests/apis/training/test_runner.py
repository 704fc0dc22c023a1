"""mmengine's Runner as this package uses it."""

import logging

import pytest
from mmengine.config import Config

from mmdataseg.apis.training import runner
from mmdataseg.apis.training.runner import NamedConfigRunner
from tests.engine.breaking_model import BreaksAtFive


@pytest.mark.parametrize("name", ["timer", "visualization"])
def test_a_hook_is_removed_by_none_also_if_mmengine_has_no_such_default(tmp_path, name):
    hooks = {"visualization": {"type": "mmdataseg.DrawPredictions"}, name: None}
    runner = NamedConfigRunner(
        model=BreaksAtFive(), work_dir=str(tmp_path), cfg=Config(), experiment_name=name, default_hooks=hooks
    )
    found = {type(hook).__name__ for hook in runner.hooks}
    assert ("IterTimerHook" in found, "DrawPredictions" in found) == (name != "timer", name != "visualization")


def test_each_run_of_a_process_logs_into_its_own_folder(tmp_path):
    """Also with a name that mmdet's configs give to every visualizer."""
    visualizer = {"type": "Visualizer", "vis_backends": [{"type": "LocalVisBackend"}], "name": "visualizer"}
    for run in ("first", "second"):
        folder = tmp_path / run
        options = {"cfg": Config(), "experiment_name": run, "visualizer": visualizer}
        made = NamedConfigRunner(model=BreaksAtFive(), work_dir=str(folder), **options)
        made.visualizer.add_scalar("loss", 1.0)
        (scalars,) = folder.glob("*/vis_data/scalars.json")
        assert scalars.read_text().count("loss") == 1
    assert visualizer == {"type": "Visualizer", "vis_backends": [{"type": "LocalVisBackend"}], "name": "visualizer"}


@pytest.mark.parametrize(
    ("text", "brief", "with_table"),
    [
        ("\n------\nSystem environment:\n  a: 1", False, True),
        ("Config:\nmodel = dict()", False, True),
        ("Hooks will be executed in the following order:\n...", False, True),
        ("paramwise_options -- head.weight:lr=0.1", False, True),
        ("Distributed training is not used, all SyncBatchNorm ...", False, True),
        ("segm_mAP_copypaste: 0.230 0.391", False, True),
        ("backbone.layer3.1.bn2.bias is skipped since its requires_grad=False", False, True),
        ("Iter(train) [20/100]  loss: 3.1", True, True),
        ("Iter(train) [50/50]  toy/loss_mask: 3.1", True, True),
        ("Iter(test) [20/50]    eta: 0:00:04  time: 0.1595", True, True),
        ("Iter(val) [50/50]    toy/mIoU: 55.1593  toy/mAcc: 70.0  data_time: 0.1", True, False),
        ("Iter(test) [  5/  5]    toy/PQ: 55.1593", True, False),
        ("source 'a': no Config: here", True, True),
    ],
)
def test_the_console_omits_what_the_log_file_or_the_table_has(text, brief, with_table):
    record = logging.LogRecord("mmengine", logging.INFO, "", 0, text, None, None)
    assert runner._is_brief(record) is brief
    assert runner._is_not_scores(record) is with_table
