"""The check of mmcv's operators against torchvision's, on those that are installed and on wrong ones."""

import importlib.util

import pytest


@pytest.fixture
def check(repo_root):
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("check_mmcv", repo_root / "requirements" / "check_mmcv.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_operators_of_this_environment_agree_with_torchvisions(check):
    check.main()


@pytest.mark.parametrize("name", ["nms", "roi_align", "deform_conv2d", "modulated_deform_conv2d"])
def test_an_operator_that_disagrees_is_named(check, monkeypatch, name):
    right = getattr(check.ops, name)

    def wrong(*args):
        if name == "nms":
            dets, kept = right(*args)
            return dets, kept[:-1]
        return right(*args) * 1.01

    monkeypatch.setattr(check.ops, name, wrong)
    with pytest.raises(SystemExit, match=f"mmcv disagrees with torchvision: {name}$"):
        check.main()
