"""The command line: what the arguments do to a config, the messages, and one small training, resumed and tested."""

import inspect
import logging
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import mmengine
import pytest
from mmengine.config import Config

from mmdataseg.apis import cli, config_reading, ranks, runner, runs
from mmdataseg.apis.config_files import find_config
from mmdataseg.errors import UserError

TINY_PARTS = '''
"""A model of one weight, its data and its metric, outside the package."""
import torch
from mmdet.structures import DetDataSample
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.structures import InstanceData
from torch.utils.data import Dataset


@MODELS.register_module()
class TinyModel(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, inputs, data_samples=None, mode="tensor"):
        if mode == "loss":
            return dict(loss=(self.weight - 1) ** 2)
        for sample in data_samples:
            sample.pred_instances = InstanceData(labels=torch.tensor([7]), masks=torch.ones(1, 4, 4, dtype=torch.bool))
        return data_samples


@DATASETS.register_module()
class TinyDataset(Dataset):
    metainfo = dict(classes=("a",))

    def __len__(self):
        return 3

    def __getitem__(self, index):
        sample = DetDataSample(metainfo=dict(img_id=index), gt_instances=InstanceData(labels=torch.tensor([1])))
        return dict(inputs=torch.zeros(3, 4, 4), data_samples=sample)


@METRICS.register_module()
class TinyMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.extend(data_samples)

    def compute_metrics(self, results):
        return dict(seen=len(results))


@HOOKS.register_module()
class TinyVisualizationHook(Hook):
    def __init__(self, draw=False, test_out_dir=None):
        self.draw, self.test_out_dir = draw, test_out_dir

    def before_test(self, runner):
        print(f"pictures: {self.draw} {self.test_out_dir}")
'''

TINY_CONFIG = """
custom_imports = dict(imports=['tiny_parts'], allow_failed_imports=False)
default_scope = 'mmdet'
model = dict(type='TinyModel')
_loader = dict(batch_size=1, num_workers=0, collate_fn=dict(type='pseudo_collate'), dataset=dict(type='TinyDataset'))
train_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=True), **_loader)
test_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=False), **_loader)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
test_cfg = dict()
test_evaluator = dict(type='TinyMetric')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False),
    visualization=dict(type='TinyVisualizationHook'))
log_processor = dict(by_epoch=False)
"""

DRIVER = """
import sys
from mmdataseg.apis.cli import main
main(["train", "tiny.py", "--work-dir", "run"])
main(["train", "tiny.py", "--work-dir", "run", "--resume", "--cfg-options", "train_cfg.max_iters=4"])
main(["train", "tiny.py", "--work-dir", "run", "--cfg-options", "train_cfg.max_iters=4"])
main(["test", "run/tiny_resolved.py", "run/iter_4.pth", "--work-dir", "run", "--out", "out.pkl", "--show-dir", "seen"])
"""


def train_args(*argv: str):
    return cli.build_train_parser().parse_args(["some.py", *argv])


def tiny_config(**more) -> Config:
    return Config(dict(train_cfg=dict(max_iters=2), optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)), **more))


def test_a_training_is_run_resumed_and_tested(tmp_path):
    """One process for all three: starting Python with mmdet takes most of the time."""
    (tmp_path / "tiny_parts.py").write_text(TINY_PARTS)
    (tmp_path / "tiny.py").write_text(TINY_CONFIG)
    done = subprocess.run([sys.executable, "-c", DRIVER], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    output = done.stdout + done.stderr
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert {"iter_1.pth", "iter_2.pth", "iter_3.pth", "iter_4.pth", "tiny_resolved.py"} <= names
    assert "tiny.py" not in names, "mim would find the config's name twice"
    assert "resumed epoch: 0, iter: 2" in output
    assert re.findall(r"training: (\d) iterations on \w+, into \S*run", output) == ["2", "4", "4"]
    assert output.count("holds an earlier run, which ended at") == 1, "not printed for a resumed run"
    assert f"pictures: True {tmp_path / 'seen'}" in output
    assert "seen: 3" in output
    samples = pickle.loads((tmp_path / "out.pkl").read_bytes())
    assert [s["img_id"] for s in samples] == [0, 1, 2]
    assert set(samples[0]) == {"img_id", "pred_instances"}, "ground truth is left out"
    assert samples[0]["pred_instances"]["masks"][0]["size"] == [4, 4]


def test_a_loss_that_is_not_finite_ends_the_command_and_keeps_the_checkpoint(tmp_path, repo_root):
    (tmp_path / "tiny_parts.py").write_text(TINY_PARTS)
    (tmp_path / "tiny.py").write_text(TINY_CONFIG)
    words = ["train", "tiny.py", "--work-dir", "run", "--cfg-options", "train_cfg.max_iters=9"]
    done = subprocess.run(
        [sys.executable, "-m", "mmdataseg", *words, "optim_wrapper.optimizer.lr=1e30"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(repo_root), str(tmp_path)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert "error: iteration 2: not finite: loss; nothing was saved since; --resume continues from " in done.stderr
    assert "iter_1.pth; check these images, lower the learning rate, or clip gradients" in done.stderr
    assert [path.name for path in (tmp_path / "run").glob("*.pth")] == ["iter_1.pth"]


@pytest.mark.slow
@pytest.mark.parametrize("start", [["-m", "mim"], ["-m", "mmdataseg"]], ids=["mim", "python -m"])
def test_each_front_end_trains_and_tests(start, tmp_path):
    if start[1] == "mim":
        pytest.importorskip("mim", reason="mim is not installed")
        start = ["-c", "import sys; from mim.cli import cli; cli()"]
    package = ["mmdataseg"] if "mim" in start[1] else []
    (tmp_path / "tiny_parts.py").write_text(TINY_PARTS)
    (tmp_path / "tiny.py").write_text(TINY_CONFIG)
    env = {"PYTHONPATH": str(tmp_path)}
    for arguments in (["train", *package, "tiny.py"], ["test", *package, "tiny.py", "--checkpoint", "iter_2.pth"]):
        command = [sys.executable, *start, *arguments, "--work-dir", "."]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | env)
        assert done.returncode == 0, done.stderr
    assert "seen: 3" in done.stdout + done.stderr


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


@pytest.mark.parametrize("spelling", ["--local-rank=3", "--local_rank=3"])
def test_both_spellings_of_the_launchers_rank_are_accepted(spelling):
    assert train_args(spelling).local_rank == 3


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train", "no_such_config"], "config 'no_such_config' is neither a file nor one of mmdataseg's configs"),
        (["train", "some.py", "--workdir", "x"], "unknown option '--workdir'; did you mean '--work-dir'?"),
        (
            ["train", "dataseg_mini_3ds", "--iterations", "9", "--cfg-options", "train_cfg.max_iters=5"],
            "--iterations and --cfg-options train_cfg.max_iters both set the length of the training",
        ),
        (["train", "dataseg_mini_3ds", "--iterations", "0"], "--iterations must be at least 1"),
        (["train", "some.py", "other.py"], "argument 'other.py' is one too many"),
        (["test", "a.pth", "--showdir", "x"], "unknown option '--showdir'; did you mean '--show-dir'?"),
        (["convert", "a.pth", "--to", "b.pth", "--rigde", "0"], "unknown option '--rigde'; did you mean '--ridge'?"),
        (["checks", "--jsn"], "unknown option '--jsn'; did you mean '--json'?"),
        (
            ["test"],
            "give a checkpoint, such as work_dirs/NAME/iter_2000.pth, or a config and then a checkpoint, got neith",
        ),
        (["test", "some.py"], "or a config and then a checkpoint, got some.py"),
        (["test", "some.py", "a.pth", "--checkpoint", "b.pth"], "a checkpoint, got some.py a.pth b.pth"),
        (["test", "some.py", "no_such.pth"], "checkpoint 'no_such.pth' is not a file"),
        (["test", "some.py", "a.pth", "--out", "a.json"], "--out must end in .pkl or .pickle"),
        (["train"], "the following arguments are required: CONFIG"),
        ([], "usage: python -m mmdataseg train CONFIG"),
    ],
)
def test_mistakes_end_with_a_message_and_no_traceback(argv, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(argv)
    assert exit_info.value.code == 2
    captured = capsys.readouterr()
    assert message in captured.out + captured.err


@pytest.mark.parametrize("command", ["train", "test", "predict", "web", "convert", "checks"])
def test_a_wrong_command_line_prints_one_line_of_usage_and_the_mistake(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--no-such-option"])
    usage, mistake = capsys.readouterr().err.splitlines()
    assert usage.startswith(f"usage: python -m mmdataseg {command} ")
    assert mistake.startswith(f"python -m mmdataseg {command}: error: ")


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["train", "no_such_config"], 2, "config 'no_such_config' is neither a file nor"),
        (["train", "dataseg_mini_3ds", "--workdir", "x"], 2, "unknown option '--workdir'"),
        (["train", "dataseg_mini_3ds", "--resume", "no.pth"], 2, "checkpoint 'no.pth' is not a file"),
        (["train", "dataseg_mini_3ds", "--cfg-options", "modelx.x=1"], 1, "has no 'modelx'; did you mean 'model'?"),
        (["train", "dataseg_mini_3ds"], 1, "source 'mini_semantic': folder 'data/mini_world/ade' does not exist"),
        (["train", "_base_/sources/ade_semantic.py"], 1, "this file defines the source ade_semantic, not a model"),
        (["train", "marked.py"], 1, "'marked.py': begins with a byte order mark; save it as UTF-8 without this mark"),
        (["test", "dataseg_mini_3ds", "no.pth"], 2, "checkpoint 'no.pth' is not a file"),
        (["test", "dataseg_mini_3ds", "a.pth"], 1, "source 'mini_semantic': folder 'data/mini_world/ade' does not"),
        (["test", "dataseg_mini_3ds", "a.pth", "--cfg-options", "modelx.x=1"], 1, "has no 'modelx'; did you mean"),
    ],
)
def test_mistakes_are_found_before_torch_is_imported(argv, code, message, tmp_path, repo_root):
    """The import of torch and the mm* packages takes 10 seconds and more."""
    (tmp_path / "a.pth").touch()
    (tmp_path / "marked.py").write_bytes(b"\xef\xbb\xbfmodel = dict()\n")
    program = (
        "import sys; from mmdataseg.apis.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('torch imported' if 'torch' in sys.modules else 'no torch')"
    )
    environment = {k: v for k, v in os.environ.items() if k != "MMDATASEG_MINI_WORLD"} | {"PYTHONPATH": str(repo_root)}
    done = subprocess.run(
        [sys.executable, "-c", program, *argv], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "no torch" in done.stdout


def test_arguments_that_do_not_fit_the_config_end_with_a_message_too(tmp_path, capsys):
    config, checkpoint = tmp_path / "some.py", tmp_path / "some.pth"
    config.write_text("model = dict()\noptim_wrapper = dict()\ntrain_cfg = dict(max_iters=1)\n")
    checkpoint.write_bytes(b"not read")
    for argv, message in (
        (["train", str(config), "--auto-scale-lr"], "--auto-scale-lr needs auto_scale_lr"),
        (["test", str(config), str(checkpoint), "--show-dir", "seen"], "--show-dir needs default_hooks.visualization"),
    ):
        with pytest.raises(SystemExit):
            cli.main(argv)
        assert message in capsys.readouterr().err


def test_an_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["evaluate"])
    assert exit_info.value.code == 2
    assert "unknown command 'evaluate'; expected one of train, test, predict" in capsys.readouterr().err


def test_the_help_does_not_mention_gpus():
    """mim adds --gpus to the command of a script whose help has that word."""
    assert "--gpus" not in cli.build_train_parser().format_help()


def test_the_scripts_that_mim_runs_have_the_same_arguments(repo_root):
    for script, parser in (("train.py", cli.build_train_parser), ("test.py", cli.build_test_parser)):
        done = subprocess.run([sys.executable, f"tools/{script}", "-h"], cwd=repo_root, capture_output=True, text=True)
        assert done.stdout.split() == parser(prog=script).format_help().split(), done.stderr


@pytest.mark.parametrize(
    ("text", "brief", "with_table"),
    [
        ("\n------\nSystem environment:\n  a: 1", False, True),
        ("Config:\nmodel = dict()", False, True),
        ("Hooks will be executed in the following order:\n...", False, True),
        ("paramwise_options -- head.weight:lr=0.1", False, True),
        ("Distributed training is not used, all SyncBatchNorm ...", False, True),
        ("segm_mAP_copypaste: 0.230 0.391", False, True),
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


def test_an_option_without_effect_is_refused(tmp_path, capsys):
    (tmp_path / "c.py").write_text(TINY_CONFIG.partition("\n")[2].partition("\n")[2])
    with pytest.raises(SystemExit):
        cli.main(["train", str(tmp_path / "c.py"), "--cfg-options", "train_confg.max_iters=3"])
    assert (
        "--cfg-options train_confg.max_iters: the config has no 'train_confg'; did you mean" in capsys.readouterr().err
    )
    cfg = config_reading.read_config(tmp_path / "c.py", {"randomness.seed": 3})
    assert cfg.randomness.seed == 3


def test_private_names_of_base_configs_are_not_suggested(tmp_path):
    (tmp_path / "c.py").write_text("_secret = 1\nmodel = dict()\n")
    with pytest.raises(ValueError, match=r"has no 'zzz'; it has \['model'\]"):
        config_reading.read_config(tmp_path / "c.py", {"zzz": 3})


def test_the_settings_of_mmengines_runner_are_known():
    assert set(config_reading.RUNNER_SETTINGS) == set(inspect.signature(mmengine.runner.Runner).parameters)


@pytest.mark.parametrize("name", config_reading.MORE_SETTINGS)
def test_keys_that_mmengine_reads_outside_its_parameters_may_be_set(tmp_path, name):
    (tmp_path / "c.py").write_text("model = dict()\n")
    assert config_reading.read_config(tmp_path / "c.py", {name: "x"}).get(name) == "x"
    read = inspect.getsource(mmengine.runner.runner) + inspect.getsource(runner)
    assert re.search(rf"cfg\.get\(\s*[\"']{name}[\"']|[\"']{name}[\"'] (not )?in (self\.)?cfg", read), name


@pytest.mark.parametrize("verb", ["train", "test"])
def test_a_source_file_is_not_a_config(verb, tmp_path, capsys):
    (tmp_path / "some.pth").touch()
    checkpoint = [str(tmp_path / "some.pth")] if verb == "test" else []
    with pytest.raises(SystemExit) as exit_info:
        cli.main([verb, "_base_/sources/ade_semantic.py", *checkpoint])
    assert exit_info.value.code == 1
    assert "ade_semantic.py': this file defines the source ade_semantic, not a model" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--iterations", "5"]])
def test_a_config_that_only_tests_is_not_trained(options, capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "dataseg_toy_3ds_probability-merge", *options])
    assert "dataseg_toy_3ds_probability-merge.py only tests, it has no train_cfg; use test" in capsys.readouterr().err


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
