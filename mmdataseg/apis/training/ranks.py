"""Processes that train or test together: started without GPUs, too, and named when one of them is lost."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import get_dist_info, is_distributed
from torch import distributed

from mmdataseg.apis.config.checking import dicts
from mmdataseg.apis.stopping import sigterm_as_exit
from mmdataseg.errors import UserError
from mmdataseg.registry import type_name

BEAT, SILENCE = 0.5, 10.0  # seconds
# errors of the launcher's store: torch's DistError is a RuntimeError, and torch 2.1 does not have it
_STORE_ERRORS = (RuntimeError, TimeoutError)
_RUNNING, _FINISHED, _STOPPED, _FAILED = range(4)


def check_launcher(launcher: str) -> None:
    """Check that the processes were started as the launcher says: ``none``, ``pytorch``, ``slurm`` or ``mpi``.

    Raises:
        UserError: torchrun started several processes, and no launcher is given; or the launcher is ``pytorch``, and
            torchrun did not start this process; or another launcher is given, and there is no GPU.
    """
    if launcher == "none" and "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(
            f"torchrun started {os.environ['WORLD_SIZE']} processes, and without --launcher each would work alone, "
            "into the same folder",
            remedy="add --launcher pytorch",
        )
    if launcher == "pytorch" and not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= set(os.environ):
        raise UserError(
            "--launcher pytorch: torchrun did not start this process",
            remedy="start it with 'torchrun --nproc_per_node N -m mmdataseg ...', or leave --launcher out",
        )
    if launcher in ("slurm", "mpi") and get_device() == "cpu":
        raise UserError(
            f"--launcher {launcher}: mmengine gives each process a GPU, and there is none",
            remedy="leave it out, or use torchrun and --launcher pytorch, which also work on CPUs",
        )


def check_strategy(cfg: Config) -> None:
    """Refuse mmengine's ``FSDPStrategy`` where it does not train what one process would train.

    mmengine clips gradients by the norm of each rank's own shards, so the ranks would take steps of different lengths;
    and torch does not shard scalar parameters, such as the scale of this package's classifiers.

    Raises:
        UserError: The strategy is ``FSDPStrategy``, and the model is of this package or gradients are clipped.
    """
    name = type_name(cfg.get("strategy"))
    ours = str(cfg.get("model", {}).get("type", "")).startswith("mmdataseg.")
    if name == "FSDPStrategy" and (ours or cfg.get("optim_wrapper", {}).get("clip_grad")):
        why = (
            "it cannot shard the scalar parameters of this model"
            if ours
            else "it clips the gradients of each shard alone"
        )
        raise UserError(
            f"strategy FSDPStrategy: {why}",
            remedy="leave strategy and runner_type out: --launcher pytorch trains with DDP (see configs/hardware)",
        )


def check_recomputation(cfg: Config) -> None:
    """Refuse what stops torch in the first step of several processes, with an error that does not name the setting.

    A part of another package with ``with_cp`` runs its forward pass again in the backward pass, in which its parameters
    become ready. With ``find_unused_parameters``, torch has marked them before. This package's ViTDet works with both.

    Raises:
        UserError: Several processes train with ``find_unused_parameters``, and a part of the model has ``with_cp``.
    """
    wrapper = cfg.get("model_wrapper_cfg")
    parallel = cfg if wrapper is None else wrapper  # mmengine reads only one of them
    if cfg.get("launcher", "none") == "none" or not parallel.get("find_unused_parameters"):
        return
    places = [
        place
        for place, part in dicts(cfg.get("model") or {}, "model")
        if part.get("with_cp") and not str(part.get("type", "")).startswith("mmdataseg.")
    ]
    if places and not parallel.get("static_graph"):
        raise UserError(
            f"{places[0]}.with_cp and find_unused_parameters cannot be used together by several processes",
            remedy=f"set {places[0]}.with_cp=False, or train with one process, without --launcher",
        )


def start_without_gpus(cfg: Config) -> None:
    """Start the process group with gloo if there are several processes and no GPU. mmengine would ask for GPUs.

    The timeout is that of the config, ``env_cfg.dist_cfg.timeout``. The config gets a ``model_wrapper_cfg`` for CPUs if
    it has none.
    """
    if cfg.get("launcher") != "pytorch" or get_device() != "cpu":
        return
    if not is_distributed():
        seconds = cfg.get("env_cfg", {}).get("dist_cfg", {}).get("timeout")
        timeout = None if seconds is None else timedelta(seconds=seconds)
        distributed.init_process_group("gloo", timeout=timeout)
    if cfg.get("model_wrapper_cfg") is None:
        cfg.model_wrapper_cfg = dict(
            type="MMDistributedDataParallel",
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=cfg.get("find_unused_parameters", False),
        )


@contextmanager
def lost_ranks_named(*, then: str) -> Iterator[None]:
    """Say which rank is lost if the block fails because of it. Without several processes, this does nothing.

    If a process is killed, the others fail in their next exchange of data: at once if its connections close, otherwise
    after the timeout of the process group (``env_cfg.dist_cfg.timeout``, in seconds). Their errors do not say why, so
    each process shows in the launcher's store that it runs. Use it only in the main thread.

    Args:
        then: What the user does once the cause is mended.

    Raises:
        UserError: The block failed or was stopped by SIGTERM, and another rank is gone or has failed.
    """
    rank, world_size = get_dist_info()
    if world_size == 1 or "MASTER_ADDR" not in os.environ:
        yield
        return
    signs = SignsOfLife(rank, world_size)
    end = _FAILED
    try:
        with sigterm_as_exit():
            try:
                yield
                end = _FINISHED
            except (RuntimeError, SystemExit) as error:
                with _undisturbed():
                    lost = signs.lost()
                if not lost:
                    end = _STOPPED if isinstance(error, SystemExit) else _FAILED
                    raise
                raise UserError(
                    f"{' and '.join(lost)}, so rank {rank} of {world_size} stops",
                    remedy="look for the cause in what that rank printed, or, if it was killed, in the log of the "
                    f"system (often for lack of memory); then {then}",
                ) from error
    finally:
        signs.close(end)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore the signals of a launcher that ends everything: SIGTERM, and SIGCHLD of torch's data loader workers."""
    ignored = {signal.SIGTERM: signal.SIG_IGN, signal.SIGCHLD: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in ignored.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class SignsOfLife:
    """Shows the other ranks that this one runs, and tells which of the others do not.

    A thread counts in the store through which the processes found each other (``MASTER_ADDR``, ``MASTER_PORT``). A rank
    whose count stands still for 10 seconds was killed, or hangs so that no thread of it runs.
    """

    def __init__(self, rank: int, world_size: int) -> None:
        self._rank, self._world_size = rank, world_size
        self._store = _connect()
        self._set_state(_RUNNING)
        self._closed = Event()
        self._thread = Thread(target=self._beat, name="signs of life", daemon=True)
        self._thread.start()

    def lost(self) -> list[str]:
        """Return what is known of the ranks that are gone or failed, one clause per rank, within 10 seconds."""
        try:
            return self._lost(_connect())
        except _STORE_ERRORS:
            return [f"rank 0 or the launcher at {os.environ['MASTER_ADDR']} is gone"]

    def close(self, end: int) -> None:
        """Stop the thread, and show the others how this rank ended."""
        self._closed.set()
        self._thread.join()
        try:
            self._set_state(end)
        except _STORE_ERRORS:
            pass  # nobody is left to read it

    def _beat(self) -> None:
        try:
            while not self._closed.wait(BEAT):
                self._store.add(f"beat/{self._rank}", 1)
        except _STORE_ERRORS:
            pass  # the store is gone, and with it the first rank or the launcher; the main thread will see it

    def _lost(self, store: distributed.Store) -> list[str]:
        silent = {rank: store.add(f"beat/{rank}", 0) for rank in range(self._world_size) if rank != self._rank}
        failed, until = [], time.monotonic() + SILENCE
        while silent and time.monotonic() < until:
            for rank, beats in list(silent.items()):
                state = store.add(f"state/{rank}", 0)
                if state == _FAILED:
                    failed.append(f"rank {rank} ended with an error")
                if state != _RUNNING or store.add(f"beat/{rank}", 0) != beats:
                    del silent[rank]
            time.sleep(BEAT / 2)
        gone = [f"rank {rank} is gone (no sign of life for {SILENCE:g} seconds)" for rank in silent]
        return [*gone, *failed]

    def _set_state(self, state: int) -> None:
        key = f"state/{self._rank}"
        self._store.add(key, state - self._store.add(key, 0))


def _connect() -> distributed.Store:
    """Connect to the store; the launcher keeps it over restarts of its processes, so these are told apart."""
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = distributed.TCPStore(address, port, is_master=False, timeout=timedelta(seconds=SILENCE))
    return distributed.PrefixStore(f"mmdataseg/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
