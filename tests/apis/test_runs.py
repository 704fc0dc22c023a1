"""What the arguments of `train` and `test` do to a config."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmdataseg.apis import cli, runs
from mmdataseg.apis.training import ranks
from mmdataseg.errors import UserError
from mmdataseg.evaluation import MultiSourceEvaluator


def train_args(*argv: str):
    return cli.build_train_parser().parse_args(["some.py", *argv])


def tiny_config(**more) -> Config:
    return Config(dict(train_cfg=dict(max_iters=2), optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)), **more))


def test_work_dir_is_the_arguments_then_the_configs_then_the_name(tmp_path):
    path = tmp_path / "some_resolved.py"
    path.write_text("a = 1\n")
    assert runs.load_config(path, work_dir="here").work_dir == "here"
    assert runs.load_config(path).work_dir == str(Path("work_dirs", "some"))
    path.write_text("work_dir = 'there'\n")
    assert runs.load_config(path).work_dir == "there"


def test_a_dataloader_without_workers_needs_no_other_option():
    """torch refuses persistent workers and prefetching without workers."""
    changed = {"train_dataloader.num_workers": 0, "train_dataloader.prefetch_factor": 4}
    cfg = runs.load_config("dataseg_toy_3ds_1gpu.py", options=changed)
    assert cfg.train_dataloader.persistent_workers is False
    assert "prefetch_factor" not in cfg.train_dataloader
    kept = runs.load_config("dataseg_r50_3ds.py", options={"val_dataloader.num_workers": 0})
    assert kept.train_dataloader.persistent_workers is True
    assert kept.val_dataloader.persistent_workers is False


def test_a_launcher_that_needs_gpus_is_refused_without_one(tmp_path, monkeypatch):
    monkeypatch.setattr(ranks, "get_device", lambda: "cpu")
    (tmp_path / "some.py").write_text("a = 1\n")
    with pytest.raises(UserError, match="--launcher slurm: mmengine gives each process a GPU, and there is none"):
        runs.load_config(tmp_path / "some.py", launcher="slurm")


def test_cfg_options_and_launcher_reach_the_config(tmp_path, monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    path = tmp_path / "some.py"
    path.write_text("a = dict(b=1, c=[1, 2])\n")
    cfg = runs.load_config(
        path, options=train_args("--cfg-options", "a.b=3", "a.c=[4,5]").cfg_options, launcher="pytorch"
    )
    assert cfg.a == dict(b=3, c=[4, 5])
    assert cfg.launcher == "pytorch"


@pytest.mark.parametrize(
    ("option", "resume", "load_from"),
    [(False, False, "weights.pth"), (True, True, None), ("old.pth", True, "old.pth")],
)
def test_resume_is_off_automatic_or_a_path(option, resume, load_from):
    cfg = tiny_config(load_from="weights.pth", resume=False)
    runs.set_training(cfg, resume=option)
    assert (cfg.resume, cfg.load_from) == (resume, load_from)


@pytest.fixture
def gpu(monkeypatch):
    """Pretend that there is a GPU."""
    monkeypatch.setattr(runs, "get_device", lambda: "cuda")


def test_amp_needs_a_gpu(monkeypatch):
    monkeypatch.setattr(runs, "get_device", lambda: "cpu")
    with pytest.raises(ValueError, match=r"--amp: .* only on a GPU, and there is none; leave it out"):
        runs.set_training(tiny_config(), amp=True)


@pytest.mark.usefixtures("gpu")
def test_amp_replaces_the_optimizer_wrapper_and_keeps_a_loss_scale_that_is_set():
    cfg = tiny_config()
    runs.set_training(cfg, amp=True)
    assert (cfg.optim_wrapper.type, cfg.optim_wrapper.loss_scale) == ("AmpOptimWrapper", "dynamic")
    cfg.optim_wrapper.loss_scale = 512.0
    runs.set_training(cfg, amp=True)
    assert cfg.optim_wrapper.loss_scale == 512.0


@pytest.mark.usefixtures("gpu")
def test_amp_refuses_a_wrapper_that_it_would_replace():
    cfg = tiny_config()
    cfg.optim_wrapper.type = "ApexOptimWrapper"
    with pytest.raises(ValueError, match=r"--amp needs .*, config has 'ApexOptimWrapper'"):
        runs.set_training(cfg, amp=True)


def test_auto_scale_lr_is_switched_on_where_there_is_a_base_batch_size():
    cfg = tiny_config(auto_scale_lr=dict(enable=False, base_batch_size=16))
    runs.set_training(cfg)
    assert cfg.auto_scale_lr.enable is False
    runs.set_training(cfg, auto_scale_lr=True)
    assert cfg.auto_scale_lr.enable is True
    with pytest.raises(ValueError, match="--auto-scale-lr needs auto_scale_lr"):
        runs.set_training(tiny_config(), auto_scale_lr=True)


def test_pictures_need_a_visualization_hook():
    with pytest.raises(ValueError, match=r"--show-dir needs default_hooks\.visualization"):
        runs.set_test(tiny_config(), checkpoint="some.pth", show_dir="seen")


def test_the_folder_of_the_pictures_reaches_either_kind_of_hook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind, expected in (
        ("mmdataseg.DrawPredictions", dict(out_dir=str(tmp_path / "seen"))),
        ("DetVisualizationHook", dict(draw=True, test_out_dir=str(tmp_path / "seen"))),
    ):
        cfg = tiny_config(default_hooks=dict(visualization=dict(type=kind)))
        runs.set_test(cfg, checkpoint="some.pth", show_dir="seen")
        assert cfg.default_hooks.visualization == dict(type=kind, **expected)


def test_scores_of_each_class_need_our_evaluator():
    cfg = tiny_config(test_evaluator=dict(type="mmdataseg.MultiSourceEvaluator", metrics=[]))
    runs.set_test(cfg, checkpoint="some.pth")
    assert "classwise" not in cfg.test_evaluator
    runs.set_test(cfg, checkpoint="some.pth", classwise=True)
    assert cfg.test_evaluator.classwise is True
    for path in (MultiSourceEvaluator, "mmdataseg.evaluation.MultiSourceEvaluator"):  # as in a pure Python config
        cfg = tiny_config(test_evaluator=dict(type=path))
        runs.set_test(cfg, checkpoint="some.pth", classwise=True)
        assert cfg.test_evaluator.classwise is True
    for other in (dict(type="CocoMetric"), [dict(type="CocoMetric")], None):
        with pytest.raises(UserError, match=r"--classwise needs .*; set classwise=True in the metrics of this config"):
            runs.set_test(tiny_config(test_evaluator=other), checkpoint="some.pth", classwise=True)


@pytest.mark.parametrize(
    ("checkpoint", "folder"),
    [
        ("work_dirs/roofs/iter_300.pth", "work_dirs/roofs"),
        ("work_dirs/roofs/best_town_PQ_iter_200.pth", "work_dirs/roofs"),
        ("iter_300.pth", "work_dirs/here"),
        ("work_dirs/roofs/epoch_12-0123abcd.pth", "work_dirs/roofs"),  # published
        ("downloads/roofs.pth", "work_dirs/roofs"),
        ("downloads/best_model.pth", "work_dirs/best_model"),
        ("https://host/models/roofs.pth", "work_dirs/roofs"),
    ],
)
def test_a_test_without_a_config_writes_into_the_folder_of_its_training(checkpoint, folder, tmp_path, monkeypatch):
    """The checkpoints of all trainings have the same names."""
    seen = {}

    def stop(_, **options):
        seen.update(options)
        raise KeyboardInterrupt

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(runs, "require_whole", lambda _: None)
    monkeypatch.setattr(runs, "read_checkpoint", lambda *_, **__: None)
    monkeypatch.setattr(runs, "completed_for_test", lambda *_: tiny_config())
    monkeypatch.setattr(runs, "load_config", stop)
    with pytest.raises(KeyboardInterrupt):
        runs.run_testing(None, checkpoint)
    assert seen["work_dir"] == folder


@pytest.mark.parametrize("spelling", ["--local-rank=3", "--local_rank=3"])
def test_both_spellings_of_the_launchers_rank_are_accepted(spelling):
    assert train_args(spelling).local_rank == 3
