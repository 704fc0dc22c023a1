"""Configs are found by name; for an unknown name, the nearest ones are suggested."""

import re
from pathlib import Path

import pytest

from mmdataseg.apis.config.files import find_config


def test_suggested_configs_of_projects_are_where_the_message_says(tmp_path, monkeypatch, repo_root):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as error_info:
        find_config("dataseg_toy_3dss")
    suggested, folder = re.search(r"did you mean: ([^,]*).* \(in (.*)\)$", str(error_info.value)).groups()
    assert Path(folder) == repo_root
    assert Path(folder, suggested) == repo_root / "projects/toy/configs/dataseg_toy_3ds.py"
    assert Path(folder, suggested).is_file()


def test_at_most_three_configs_are_suggested_the_nearest_first():
    with pytest.raises(FileNotFoundError) as error_info:
        find_config("dataseg_r50_3ds_bcee")
    suggested = re.search(r"did you mean: (.*) \(in ", str(error_info.value)).group(1).split(", ")
    assert suggested[0] == "configs/ablations/dataseg_r50_3ds_bce.py"
    assert len(suggested) == 3


def test_a_wrong_path_is_not_treated_as_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"did you mean: .*mini/dataseg_mini_3ds\.py"):
        find_config("configs/dataseg_mini_3ds.py")
    assert find_config("configs/mini/dataseg_mini_3ds.py").name == find_config("dataseg_mini_3ds").name
