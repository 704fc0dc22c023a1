"""mmengine's Runner as this package uses it."""

import pytest
from mmengine.config import Config

from mmdataseg.apis.runner import NamedConfigRunner
from tests.engine.test_finite_loss import BreaksAtFive


@pytest.mark.parametrize("name", ["timer", "visualization"])
def test_a_hook_is_removed_by_none_also_if_mmengine_has_no_such_default(tmp_path, name):
    hooks = {"visualization": {"type": "mmdataseg.DrawPredictions"}, name: None}
    runner = NamedConfigRunner(
        model=BreaksAtFive(), work_dir=str(tmp_path), cfg=Config(), experiment_name=name, default_hooks=hooks
    )
    found = {type(hook).__name__ for hook in runner.hooks}
    assert ("IterTimerHook" in found, "DrawPredictions" in found) == (name != "timer", name != "visualization")
