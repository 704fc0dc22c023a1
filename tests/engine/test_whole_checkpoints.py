"""A failed save loses nothing, and a run resumes from a complete checkpoint."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator

from mmdataseg.apis.training.runner import NamedConfigRunner
from mmdataseg.engine.whole_checkpoints import (
    WholeCheckpoints,
    checkpoint_to_resume,
    is_whole,
    newest_whole,
    require_whole,
)
from mmdataseg.errors import MissingFileError, UserError
from tests.engine.breaking_model import BreaksAtFive, one_by_one
from tests.rank_processes import run_ranks


class Scored(BreaksAtFive):
    """Returns the samples as its predictions, for evaluators that read none."""

    def forward(self, inputs, data_samples, mode):
        return data_samples if mode == "predict" else super().forward(inputs, data_samples, mode)


def train(work_dir, max_iters=4, load_from=None, accumulated=1, val_dataloader=None, val_evaluator=None, **hook):
    runner = NamedConfigRunner(
        model=Scored(),
        work_dir=str(work_dir),
        cfg=Config(dict(optim_wrapper=dict(accumulative_counts=accumulated))),
        load_from=load_from and str(load_from),
        resume=load_from is not None,
        experiment_name=f"{work_dir.name}{max_iters}",
        train_dataloader=one_by_one(),
        train_cfg=dict(by_epoch=False, max_iters=max_iters, val_interval=1),
        val_dataloader=val_dataloader,
        val_evaluator=val_evaluator,
        val_cfg=None if val_evaluator is None else dict(),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1), accumulative_counts=accumulated),
        default_hooks=dict(
            checkpoint=dict(dict(type="mmdataseg.WholeCheckpoints", interval=1, by_epoch=False), **hook)
        ),
    )
    runner.train()


def names(folder):
    return sorted(path.name for path in folder.glob("*.pth*"))


@pytest.mark.parametrize(("keep", "left"), [(1, [4]), (2, [3, 4]), (-1, [1, 2, 3, 4])])
def test_the_given_number_of_checkpoints_is_kept(tmp_path, keep, left):
    train(tmp_path, max_keep_ckpts=keep)
    assert names(tmp_path) == [f"iter_{step}.pth" for step in left]
    assert (tmp_path / "last_checkpoint").read_text() == str(tmp_path / "iter_4.pth")


@pytest.mark.parametrize(("interval", "warned"), [(4, True), (3, False), (6, False)])
def test_an_interval_that_cuts_an_accumulated_step_is_warned_of(tmp_path, interval, warned):
    train(tmp_path, accumulated=3, interval=interval)
    (log,) = tmp_path.glob("*/*.log")
    advice = f"a checkpoint is saved every {interval} iterations, and a step accumulates the gradients of 3: "
    assert (advice in log.read_text()) == warned
    assert ("set default_hooks.checkpoint.interval=6" in log.read_text()) == warned


@pytest.mark.parametrize(("keep", "left"), [(1, [6]), (3, [4, 5, 6])])
def test_a_resumed_run_removes_the_checkpoints_of_the_run_before(tmp_path, keep, left):
    train(tmp_path, max_keep_ckpts=keep)
    train(tmp_path, 5, load_from=tmp_path / "iter_4.pth", max_keep_ckpts=keep)
    train(tmp_path, 6, load_from=tmp_path / "iter_5.pth", max_keep_ckpts=keep)
    assert names(tmp_path) == [f"iter_{step}.pth" for step in left]


def test_a_run_that_is_resumed_in_another_folder_keeps_its_checkpoints(tmp_path):
    train(tmp_path / "first", max_keep_ckpts=2)
    train(tmp_path / "second", 7, load_from=tmp_path / "first" / "iter_4.pth", max_keep_ckpts=2)
    assert names(tmp_path / "first") == ["iter_3.pth", "iter_4.pth"]
    assert names(tmp_path / "second") == ["iter_6.pth", "iter_7.pth"]


@pytest.mark.parametrize("written", [0, 1000])
def test_a_save_that_fails_leaves_the_last_good_checkpoint(tmp_path, monkeypatch, written):
    """The third save fills the disk, before or after a part of it is written."""
    import mmengine.runner.runner as module

    save = module.save_checkpoint

    def full_disk(checkpoint, filename, *args, **kwargs):
        if "iter_3" in filename:
            with open(filename, "wb") as file:
                file.write(b"0" * written)
            raise OSError(28, "No space left on device")
        save(checkpoint, filename, *args, **kwargs)

    monkeypatch.setattr(module, "save_checkpoint", full_disk)
    with pytest.raises(UserError, match=r"cannot save a checkpoint .*No space left.*; free space .* --resume") as stop:
        train(tmp_path, max_keep_ckpts=1)
    assert isinstance(stop.value.__cause__, OSError)
    assert names(tmp_path) == ["iter_2.pth"]
    assert checkpoint_to_resume(tmp_path) == (tmp_path / "iter_2.pth", "")


def test_another_error_of_a_save_keeps_its_type(tmp_path, monkeypatch):
    """It is a mistake in the code, such as an object that cannot be pickled."""
    monkeypatch.setattr("mmengine.runner.runner.save_checkpoint", lambda *_, **__: [][0])
    with pytest.raises(IndexError):
        train(tmp_path)


@pytest.mark.parametrize("case", ["iteration", "best"])
def test_a_save_that_fails_on_the_first_rank_ends_both(tmp_path_factory, repo_root, case):
    folder = tmp_path_factory.mktemp(case)
    run_ranks("tests.engine.failing_save_rank", 2, [str(folder), case], repo_root, LOCAL_RANK="0")
    first, second = ((folder / f"{rank}.end").read_text() for rank in range(2))
    assert first.startswith(f"UserError: '{folder}/work': cannot save a checkpoint (OSError: [Errno 28] No space left")
    assert second == (
        "UserError: the first rank could not save a checkpoint, so this one stops, too; look for the cause in what "
        "the first rank printed"
    )
    assert names(folder / "work") == ["iter_1.pth", "iter_2.pth"]


@pytest.fixture
def saved(tmp_path):
    work_dir = tmp_path / "work"
    train(work_dir)
    return work_dir


def test_what_last_checkpoint_names_is_resumed(saved):
    assert checkpoint_to_resume(saved) == (saved / "iter_4.pth", "")


@pytest.mark.parametrize("size", [0, 500])
def test_an_incomplete_checkpoint_is_replaced_by_the_newest_complete_one(saved, size):
    path = saved / "iter_4.pth"
    path.write_bytes(path.read_bytes()[:size])
    assert not is_whole(path)
    found, said = checkpoint_to_resume(saved)
    assert found == newest_whole(saved) == saved / "iter_3.pth"
    assert "iter_4.pth', which is missing or incomplete; resuming from the newest complete checkpoint" in said
    assert torch.load(found, weights_only=False)["meta"]["iter"] == 3


def test_a_published_copy_is_not_resumed(tmp_path):
    """It is the newest file, but mmengine has removed the state of the optimizer from it."""
    train(tmp_path, published_keys=["meta", "state_dict"])
    (published,) = tmp_path.glob("iter_4-*.pth")
    assert "optimizer" not in torch.load(published, weights_only=False)
    (tmp_path / "last_checkpoint").unlink()
    assert newest_whole(tmp_path) == tmp_path / "iter_4.pth"


@pytest.mark.parametrize("size", [0, 2, 500])
def test_a_checkpoint_that_was_cut_short_is_refused_and_a_complete_one_is_named(saved, size):
    path = saved / "iter_4.pth"
    require_whole(path)
    path.write_bytes(path.read_bytes()[:size])
    message = r"iter_4\.pth': this checkpoint is empty or was cut short; use the newest complete .*iter_3\.pth'$"
    with pytest.raises(UserError, match=message):
        require_whole(path)
    for other in saved.glob("iter_[123].pth"):
        other.unlink()
    with pytest.raises(UserError, match=r"was cut short; copy or download it again$"):
        require_whole(str(path))


def test_other_files_and_addresses_are_left_to_the_reader(tmp_path):
    torch.save({}, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "page.pth").write_text("<html>")
    for file in (tmp_path / "legacy.pth", tmp_path / "page.pth", tmp_path, "https://host/a.pth", ""):
        require_whole(file)
    with pytest.raises(MissingFileError, match=r"absent\.pth': no such file; expected a checkpoint; check the path"):
        require_whole(tmp_path / "absent.pth")


def test_a_moved_work_dir_and_an_empty_last_checkpoint_resume(saved, tmp_path):
    moved = tmp_path / "moved"
    shutil.move(saved, moved)
    assert checkpoint_to_resume(moved)[0] == moved / "iter_4.pth"
    (moved / "last_checkpoint").write_text("")
    found, said = checkpoint_to_resume(moved)
    assert found == moved / "iter_4.pth"
    assert "last_checkpoint' is missing or empty; resuming" in said


def test_a_new_run_starts_but_one_with_only_broken_checkpoints_does_not(saved, tmp_path):
    assert checkpoint_to_resume(tmp_path / "new") == (None, "")
    for path in saved.glob("*.pth"):
        path.write_bytes(b"PK")
    with pytest.raises(
        UserError, match=r"which is missing or incomplete, and no checkpoint in this folder is complete; give"
    ):
        checkpoint_to_resume(saved)


class Falling(Evaluator):
    """Reports a PQ that is best at the second validation."""

    values = (20.0, 30.0, 10.0, 25.0)

    def __init__(self, names=()):
        super().__init__([])
        self.sources = [SimpleNamespace(name=name) for name in names]
        self.asked = 0

    def process(self, data_samples, data_batch=None):
        pass

    def evaluate(self, size):  # noqa: ARG002
        self.asked += 1
        return {"coco/PQ": self.values[self.asked - 1], "coco/SQ": 50.0}


def validated(evaluator):
    return dict(val_dataloader=one_by_one(), val_evaluator=evaluator, max_keep_ckpts=1)


@pytest.mark.parametrize("score", ["coco/PQ", "auto", ["coco/PQ", "coco/SQ"]])
def test_the_best_checkpoint_is_kept_and_greater_is_better(tmp_path, score):
    train(tmp_path, **validated(Falling(["coco"])), save_best=score)
    best = ["best_coco_PQ_iter_2.pth"] + ["best_coco_SQ_iter_1.pth"] * isinstance(score, list)
    assert [name for name in names(tmp_path) if name.startswith("best")] == best


@pytest.mark.parametrize("score", ["coco/PQ", ["coco/PQ", "coco/SQ"]])
def test_a_resumed_run_keeps_the_best_checkpoint_of_the_run_before_in_another_folder(tmp_path, score):
    """The first run is stopped after its best validation; the second one finds a better one."""
    train(tmp_path / "first", 2, **validated(Falling(["coco"])), save_best=score)
    better = Falling(["coco"])
    better.values = (40.0,)
    first = tmp_path / "first" / "iter_2.pth"
    train(tmp_path / "second", 3, load_from=first, **validated(better), save_best=score)
    assert "best_coco_PQ_iter_2.pth" in names(tmp_path / "first")
    assert "best_coco_PQ_iter_3.pth" in names(tmp_path / "second")


@pytest.mark.parametrize("removed", [False, True])
def test_a_resumed_run_removes_the_best_checkpoint_in_its_own_folder(tmp_path, removed):
    train(tmp_path, 2, **validated(Falling(["coco"])), save_best="coco/PQ")
    if removed:  # by the user
        (tmp_path / "best_coco_PQ_iter_2.pth").unlink()
    better = Falling(["coco"])
    better.values = (40.0,)
    train(tmp_path, 3, load_from=tmp_path / "iter_2.pth", **validated(better), save_best="coco/PQ")
    assert [name for name in names(tmp_path) if name.startswith("best")] == ["best_coco_PQ_iter_3.pth"]


def test_a_best_checkpoint_that_cannot_be_saved_leaves_the_one_before(tmp_path, monkeypatch):
    import mmengine.runner.runner as module

    save = module.save_checkpoint

    def full_disk(checkpoint, filename, *args, **kwargs):
        if Path(filename).name.startswith("best_coco_PQ_iter_2"):
            raise OSError(28, "No space left on device")
        save(checkpoint, filename, *args, **kwargs)

    monkeypatch.setattr(module, "save_checkpoint", full_disk)
    with pytest.raises(UserError, match=r"cannot save a checkpoint \(OSError: .*No space left"):
        train(tmp_path, **validated(Falling(["coco"])), save_best="coco/PQ")
    assert [name for name in names(tmp_path) if name.startswith("best")] == ["best_coco_PQ_iter_1.pth"]


def test_the_rule_of_a_score_can_be_less(tmp_path):
    train(tmp_path, **validated(Falling(["coco"])), save_best="coco/PQ", rule="less")
    assert "best_coco_PQ_iter_3.pth" in names(tmp_path)


@pytest.mark.parametrize("score", ["PQ", "ade/PQ", ["coco/PQ", "PQ"]])
def test_a_best_score_of_no_tested_source_is_refused_before_the_training(tmp_path, score):
    message = r"expected SOURCE/SCORE, where SOURCE is one of \['coco'\]; for example save_best='coco/PQ'$"
    with pytest.raises(UserError, match=message):
        train(tmp_path, **validated(Falling(["coco"])), save_best=score)
    assert not names(tmp_path)


@pytest.mark.parametrize("sources", [["coco"], []])
def test_a_best_score_that_is_not_reported_names_those_that_are(tmp_path, sources):
    with pytest.raises(UserError, match=r"reports no 'coco/mIoU'; take one of coco/PQ, coco/SQ$"):
        train(tmp_path, **validated(Falling(sources)), save_best="coco/mIoU")


def test_a_best_score_needs_a_validation(tmp_path):
    with pytest.raises(UserError, match="save_best needs a validation, and the config has none"):
        train(tmp_path, save_best="coco/PQ")


@pytest.mark.parametrize(("name", "hint"), [("intervals", "did you mean 'interval'\\?"), ("zzz", "remove it")])
def test_an_unknown_setting_is_refused(name, hint):
    with pytest.raises(UserError, match=rf"WholeCheckpoints .* has no setting '{name}'; {hint}$"):
        WholeCheckpoints(**{name: 3})
