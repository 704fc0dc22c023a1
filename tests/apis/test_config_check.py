"""Names and keywords of components are checked before anything is built."""

import pytest
from mmengine.config import Config

from mmdataseg.apis.config_check import check_components
from mmdataseg.apis.config_files import leaf_configs
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.errors import UserError
from tests.config_world import load


@pytest.fixture(autouse=True, scope="module")
def _registered():
    register_all_modules()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            dict(train_dataloader=dict(batch_sampler=dict(type="mmdataseg.RatioBatchSampler", ratio=[1]))),
            r"config: train_dataloader\.batch_sampler: mmdataseg\.RatioBatchSampler has no setting 'ratio'; "
            r"did you mean 'ratios'\?",
        ),
        (
            dict(model=dict(type="mmdataseg.DaTaSec")),
            r"config: model\.type: there is no 'mmdataseg\.DaTaSec'; did you mean 'DaTaSeg'\?",
        ),
        (
            dict(default_hooks=dict(a=[dict(type="mmdataseg.PlotCurves", zzz=1)])),
            r"config: default_hooks\.a\.0: .* has no setting 'zzz'; expected one of metrics",
        ),
        (dict(model=dict(type="Foo")), "no model is registered as 'Foo'; import its module in custom_imports"),
    ],
)
def test_a_mistake_is_named_with_its_place(config, message):
    with pytest.raises(UserError, match=message):
        check_components(Config(config))


def test_components_of_others_are_left_to_them():
    check_components(Config(dict(optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type="SGD", zzz=1)))))


@pytest.mark.parametrize("leaf", leaf_configs(), ids=lambda leaf: leaf.stem)
def test_every_config_passes(leaf):
    check_components(load(leaf))
