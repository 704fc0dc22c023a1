"""Several processes on the CPU: what the others say and do when one of them is lost."""

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mmdataseg.apis.config.reading import read_config
from mmdataseg.apis.runs import run_training
from mmdataseg.apis.training import ranks
from mmdataseg.errors import UserError
from mmdataseg.registry import MODELS

AGENT_STORE = "TORCHELASTIC_USE_AGENT_STORE"
ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", AGENT_STORE)
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="the processes would take GPUs")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ranks, "BEAT", 0.1)
    monkeypatch.setattr(ranks, "SILENCE", 3.0)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def work(
    rank: int,
    world_size: int,
    port: int,
    folder: Path,
    step: Callable[[int, int], None],
    timeout: float,
    launcher: bool,
) -> None:
    """Exchange a number again and again, as a training does, and write down how it ended."""
    torch.set_num_threads(1)
    values = dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=world_size, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    values[AGENT_STORE] = launcher
    os.environ |= {name: str(value) for name, value in values.items()} | {"GLOO_SOCKET_IFNAME": "lo"}
    try:
        ranks.start_without_gpus(Config(dict(launcher="pytorch", env_cfg=dict(dist_cfg=dict(timeout=timeout)))))
        with ranks.lost_ranks_named(then="go on"):
            for iteration in range(10_000):
                torch.distributed.all_reduce(torch.ones(1))
                (folder / f"{rank}.at").write_text(str(iteration))
                step(rank, iteration)
                time.sleep(0.02)
    except BaseException as error:
        (folder / f"{rank}.end").write_text(f"{type(error).__name__}: {error}")
    os._exit(0)


class Group:
    """Processes that work together until something happens to one of them.

    This process has their store, as torchrun's has. Without ``launcher``, rank 0 has it, and its end ends the store.
    """

    def __init__(
        self,
        folder: Path,
        world_size: int,
        step: Callable[[int, int], None],
        timeout: float = 60,
        *,
        launcher: bool = True,
    ) -> None:
        self.folder = folder
        port, context = free_port(), multiprocessing.get_context("fork")
        self.processes = [
            context.Process(target=work, args=(rank, world_size, port, folder, step, timeout, launcher))
            for rank in range(world_size)
        ]
        for process in self.processes:
            process.start()
        if launcher:
            self.store = torch.distributed.TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)

    def send(self, number: int, *to: int) -> None:
        """Send a signal to ranks, after all ranks have exchanged some numbers."""
        files = [self.folder / f"{rank}.at" for rank in range(len(self.processes))]
        deadline = time.monotonic() + 120
        while not all(file.is_file() and file.read_text() not in ("", "0", "1", "2") for file in files):
            assert time.monotonic() < deadline, "the processes do not start"
            time.sleep(0.05)
        for rank in to:
            os.kill(self.processes[rank].pid, number)

    def ends(self, *of: int) -> list[str]:
        """How these ranks ended; kills all of them if they do not end."""
        try:
            for rank in of:
                self.processes[rank].join(120)
                assert self.processes[rank].exitcode is not None, f"rank {rank} hangs"
            return [(self.folder / f"{rank}.end").read_text() for rank in of]
        finally:
            for process in self.processes:
                process.kill()


def nothing(rank: int, iteration: int) -> None:
    pass


def fail_on_rank_1(rank: int, iteration: int) -> None:
    if rank == 1 and iteration == 5:
        raise RuntimeError("out of memory on this rank")


@NO_GPU
@pytest.mark.parametrize("killed", [1, 2])
def test_the_others_name_a_rank_that_was_killed(tmp_path: Path, killed: int) -> None:
    group = Group(tmp_path, 3, nothing)
    group.send(signal.SIGKILL, killed)
    others = [rank for rank in range(3) if rank != killed]
    for rank, end in zip(others, group.ends(*others), strict=True):
        assert end.startswith(f"UserError: rank {killed} is gone (no sign of life for 3 seconds)")
        assert f"so rank {rank} of 3 stops; look for the cause in what that rank printed" in end
        assert end.endswith("; then go on")


@NO_GPU
def test_a_killed_first_rank_takes_the_store_with_it(tmp_path: Path) -> None:
    group = Group(tmp_path, 2, nothing, launcher=False)
    group.send(signal.SIGKILL, 0)
    (end,) = group.ends(1)
    assert end.startswith("UserError: rank 0 or the launcher at 127.0.0.1 is gone, so rank 1 of 2 stops; ")


@NO_GPU
def test_a_rank_that_fails_keeps_its_own_error_and_the_others_name_it(tmp_path: Path) -> None:
    first, second = Group(tmp_path, 2, fail_on_rank_1).ends(0, 1)
    assert second == "RuntimeError: out of memory on this rank"
    assert first.startswith("UserError: rank 1 ended with an error, so rank 0 of 2 stops; ")


@NO_GPU
def test_a_rank_that_hangs_is_named_after_the_timeout_of_the_config(tmp_path: Path) -> None:
    group = Group(tmp_path, 2, nothing, timeout=4)
    group.send(signal.SIGSTOP, 1)
    start = time.monotonic()
    (end,) = group.ends(0)
    assert end.startswith("UserError: rank 1 is gone (no sign of life for 3 seconds), so rank 0 of 2 stops; ")
    assert time.monotonic() - start > 4


@NO_GPU
def test_a_launcher_that_stops_all_ranks_blames_none(tmp_path: Path) -> None:
    group = Group(tmp_path, 2, nothing)
    group.send(signal.SIGTERM, 0, 1)
    assert "SystemExit: 143" in group.ends(0, 1)


def test_one_process_is_left_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ranks.lost_ranks_named(then="go on"):
        assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(RuntimeError, match="mine"), ranks.lost_ranks_named(then="go on"):
        raise RuntimeError("mine")


def test_a_launcher_that_did_not_start_the_process_is_refused() -> None:
    with pytest.raises(
        UserError, match="torchrun did not start this process; start it with 'torchrun --nproc_per_node"
    ):
        ranks.check_launcher("pytorch")


def test_torchrun_without_a_launcher_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks.check_launcher("none")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "1")
    ranks.check_launcher("none")
    monkeypatch.setenv("WORLD_SIZE", "8")
    with pytest.raises(
        UserError, match=r"torchrun started 8 processes, .* would work alone, .*; add --launcher pytorch"
    ):
        ranks.check_launcher("none")


@pytest.mark.parametrize(("device", "launcher", "changed"), [("cpu", "none", False), ("cuda", "pytorch", False)])
def test_one_process_or_a_gpu_is_left_to_mmengine(
    monkeypatch: pytest.MonkeyPatch, device: str, launcher: str, changed: bool
) -> None:
    monkeypatch.setattr(ranks, "get_device", lambda: device)
    cfg: Any = Config(dict(launcher=launcher))
    ranks.start_without_gpus(cfg)
    assert ("model_wrapper_cfg" in cfg) == changed
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(
    ("model", "clip_grad", "message"),
    [
        (
            "mmdataseg.DaTaSeg",
            None,
            "cannot shard the scalar parameters of this model; leave strategy and runner_type out",
        ),
        ("MaskRCNN", dict(max_norm=1.0), "clips the gradients of each shard alone; leave strategy and runner_type out"),
    ],
)
def test_a_strategy_that_would_train_something_else_is_refused(model: str, clip_grad: Any, message: str) -> None:
    settings = dict(model=dict(type=model), optim_wrapper=dict(type="OptimWrapper", clip_grad=clip_grad))
    ranks.check_strategy(Config(settings))
    ranks.check_strategy(Config(dict(**settings, strategy=dict(type="DDPStrategy"))))
    with pytest.raises(UserError, match=message):
        ranks.check_strategy(Config(dict(**settings, strategy=dict(type="mmengine.FSDPStrategy"))))


def test_a_strategy_that_shards_another_model_is_left_to_mmengine() -> None:
    ranks.check_strategy(Config(dict(model=dict(type="MaskRCNN"), strategy=dict(type="FSDPStrategy"))))


RESNET, VITDET = dict(type="ResNet", with_cp=True), dict(type="mmdataseg.ViTDet", with_cp=True)


def parallel(backbone: dict[str, Any], launcher: str = "pytorch", **settings: Any) -> Config:
    return Config(dict(model=dict(type="mmdataseg.DaTaSeg", backbone=backbone), launcher=launcher, **settings))


def test_recomputation_with_unused_parameters_is_refused_before_the_first_step() -> None:
    message = (
        "^model.backbone.with_cp and find_unused_parameters cannot be used together by several processes; set "
        "model.backbone.with_cp=False, or train with one process, without --launcher$"
    )
    for settings in (
        dict(find_unused_parameters=True),
        dict(model_wrapper_cfg=dict(find_unused_parameters=True)),
    ):
        with pytest.raises(UserError, match=message):
            ranks.check_recomputation(parallel(RESNET, **settings))
    nested = parallel(dict(type="Any", layers=[dict(with_cp=False), dict(with_cp=True)]), find_unused_parameters=True)
    with pytest.raises(UserError, match=r"^model\.backbone\.layers\.1\.with_cp and "):
        ranks.check_recomputation(nested)


@pytest.mark.parametrize(
    "cfg",
    [
        parallel(RESNET),
        parallel(RESNET | dict(with_cp=False), find_unused_parameters=True),
        parallel(VITDET, find_unused_parameters=True),
        parallel(RESNET, launcher="none", find_unused_parameters=True),
        parallel(RESNET, find_unused_parameters=True, model_wrapper_cfg=dict(broadcast_buffers=False)),
        parallel(RESNET, model_wrapper_cfg=dict(find_unused_parameters=True, static_graph=True)),
        Config(dict(launcher="pytorch", find_unused_parameters=True)),
    ],
    ids=["all used", "kept", "own backbone", "one process", "wrapper decides", "static graph", "no model"],
)
def test_other_recomputation_is_left_alone(cfg: Config) -> None:
    ranks.check_recomputation(cfg)


class Partly(torch.nn.Module):
    """A backbone with recomputation, beside a layer that is not used."""

    def __init__(self, backbone: dict[str, Any]) -> None:
        super().__init__()
        self.backbone, self.unused = MODELS.build(backbone), torch.nn.Linear(1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return sum(level.sum() for level in self.backbone(images))


def take_a_step(rank: int, folder: str, backbone: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=1)
    network = torch.nn.parallel.DistributedDataParallel(Partly(backbone), find_unused_parameters=True)
    try:
        network(torch.zeros(1, 3, 64, 64)).backward()
        end = "done"
    except RuntimeError as error:
        end = str(error)
    Path(folder, "end").write_text(end)
    torch.distributed.destroy_process_group()


@NO_GPU
@pytest.mark.parametrize(
    ("backbone", "end"),
    [
        (dict(type="mmdet.ResNet", depth=18, with_cp=True), "Expected to mark a variable ready only once"),
        (dict(type="mmdataseg.ViTDet", arch="base", img_size=64, window_size=2, with_cp=True), "done"),
    ],
    ids=["mmdet", "own"],
)
def test_torch_still_stops_where_recomputation_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: dict[str, Any], end: str
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3]))  # the new process imports this file by its name
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    torch.multiprocessing.spawn(take_a_step, args=(str(tmp_path), backbone), nprocs=1)
    assert (tmp_path / "end").read_text().startswith(end)


def test_a_training_checks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    cfg = read_config("dataseg_r50_3ds_no-text.py", {"model.backbone.with_cp": True})
    with pytest.raises(UserError, match=r"^model\.backbone\.with_cp and find_unused_parameters cannot"):
        run_training(cfg, work_dir=str(tmp_path), launcher="pytorch")
