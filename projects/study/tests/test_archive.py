"""A study continues from its archive on another machine."""

import json

import pytest

from mmdataseg.errors import UserError
from projects.study.archive import check, load, restore, save
from projects.study.run import Run


def run(folder, name="dataseg_toy_3ds", seed=0, **kwargs):
    return Run(
        name=name,
        config=f"/somewhere/{name}.py",
        folder=str(folder / name / f"seed{seed}"),
        seed=seed,
        iterations=5,
        **kwargs,
    )


def result(of):
    asked = {"config": of.config, "folder": of.folder, "iterations": of.iterations, "options": {}, "world": {}}
    return {"asked": asked, "seed": of.seed, "metrics": {"toy_panoptic/PQ": 12.5 + of.seed}}


def test_results_move_to_another_folder(tmp_path):
    here = [run(tmp_path / "here", seed=seed) for seed in range(3)]
    for each in here[:2]:
        each.write(result(each))
    save(tmp_path / "study.json", here)
    there = [run(tmp_path / "there", seed=seed) for seed in range(3)]
    assert restore(tmp_path / "study.json", there) == 2
    assert [each.result() and each.result()["metrics"]["toy_panoptic/PQ"] for each in there] == [12.5, 13.5, None]
    assert restore(tmp_path / "study.json", there) == 0


def test_the_archive_has_no_paths(tmp_path):
    here = run(tmp_path)
    here.write(result(here))
    save(tmp_path / "study.json", [here])
    text = (tmp_path / "study.json").read_text()
    assert "somewhere" not in text
    assert str(tmp_path) not in text


def test_weights_that_are_still_needed_are_trained_again(tmp_path):
    here = run(tmp_path / "here")
    here.write(result(here))
    save(tmp_path / "study.json", [here])
    there = run(tmp_path / "there")
    tested = run(tmp_path / "there", name="max-merge", weights_of=there.folder)
    assert restore(tmp_path / "study.json", [there, tested]) == 0
    tested.write(result(tested))
    assert restore(tmp_path / "study.json", [there, tested]) == 1


def test_no_result_is_ever_removed_from_the_file(tmp_path):
    """Results are kept even if they must be trained again, or their seeds are not requested."""
    here = [run(tmp_path / "here", seed=seed) for seed in range(2)]
    for each in here:
        each.write(result(each))
    before = save(tmp_path / "study.json", here)
    there = run(tmp_path / "there")
    tested = run(tmp_path / "there", name="max-merge", weights_of=there.folder)
    assert restore(tmp_path / "study.json", [there, tested]) == 0
    assert save(tmp_path / "study.json", [there, tested]) == before == load(tmp_path / "study.json")
    assert set(before["dataseg_toy_3ds"]) == {"0", "1"}


def test_without_a_file_there_are_no_results(tmp_path):
    check(tmp_path / "study.json", [run(tmp_path)])
    assert restore(tmp_path / "study.json", [run(tmp_path)]) == 0


def test_a_broken_file_is_refused(tmp_path):
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(UserError, match=r"study\.json': not valid JSON .*; delete the file"):
        check(tmp_path / "study.json", [run(tmp_path)])


def test_results_of_other_settings_are_refused(tmp_path):
    here = run(tmp_path / "here")
    here.write(result(here))
    save(tmp_path / "study.json", [here])
    kept = json.loads((tmp_path / "study.json").read_text())
    kept["dataseg_toy_3ds"]["0"]["asked"]["iterations"] = 7
    (tmp_path / "study.json").write_text(json.dumps(kept))
    with pytest.raises(
        UserError,
        match="dataseg_toy_3ds, seed 0, was run with iterations 7, but this study has 5; use the same iterations, or",
    ):
        check(tmp_path / "study.json", [run(tmp_path / "there")])


def test_results_of_other_settings_are_refused_even_if_not_requested(tmp_path):
    here = run(tmp_path / "here", seed=1)
    here.write(result(here))
    save(tmp_path / "study.json", [here])
    other = run(tmp_path / "there", world={"seed": 5})
    with pytest.raises(
        UserError, match=r"dataseg_toy_3ds, seed 1, was run with world \{\}, but this study has \{'seed': 5\}"
    ):
        check(tmp_path / "study.json", [other])
