"""A run that is stopped and resumed equals an uninterrupted run: samples, augmentation, weights."""

import random
import time
from types import SimpleNamespace

import mmengine.runner.loops
import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset
from mmengine.hooks import EMAHook, Hook
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import nn

from mmdataseg.datasets import MultiSourceDataset, RatioBatchSampler
from mmdataseg.engine import ResumableTrainLoop, loops
from mmdataseg.engine.loops import _seed_generators
from mmdataseg.errors import UserError
from mmdataseg.registry import DATASETS, TRANSFORMS

SPACE = {"name": "one", "classes": ["cat"], "is_thing": [True]}
MAX_ITERS = 11
STOP = 6


@TRANSFORMS.register_module(force=True)
class MakeNoisyInputs:
    """Turn a sample's number into a tensor with noise from each generator a transform may draw from."""

    def __call__(self, results):
        noise = torch.tensor([random.random(), np.random.rand(), torch.rand(()).item()])
        return {"inputs": results["number"] / 50 + noise, "sources": results["source"], "numbers": results["number"]}


@DATASETS.register_module(force=True)
class NoisyNumbers(BaseDataset):
    """Samples that are a number."""

    def __init__(self, *, size, metainfo=None, pipeline=()):
        self.size = size
        super().__init__(metainfo=metainfo, pipeline=list(pipeline))

    def load_data_list(self):
        return [{"number": i} for i in range(self.size)]


class TinyModel(BaseModel):
    """A linear model that draws random points in its loss, as the mask losses do."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, inputs, sources, numbers, mode="tensor"):  # noqa: ARG002
        out = self.linear(torch.stack(inputs))
        return {"loss": (out * torch.rand_like(out)).square().mean()}


class Record(Hook):
    """Note what each iteration was trained on; stop early or draw from the generators, as validation may, if told."""

    def __init__(self, stop=None, start=None, disturb=False):
        self.batches = {}
        self.stop = stop
        self.start = start
        self.disturb = disturb

    def before_run(self, runner):
        if self.start is not None:
            runner.train_loop._iter = self.start

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):  # noqa: ARG002
        inputs = torch.stack(data_batch["inputs"]).tolist()
        self.batches[batch_idx] = (data_batch["sources"][0], tuple(map(int, data_batch["numbers"])), inputs)
        if self.disturb:
            torch.rand(3)
            np.random.rand(3)
        if batch_idx + 1 == self.stop:
            runner.train_loop.stop_training = True


@pytest.fixture(autouse=True)
def _restore_default_scope():
    """A Runner leaves its default scope behind for the whole process."""
    before = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


def make_runner(
    work_dir,
    hook,
    *,
    seed=5,
    num_workers=0,
    max_iters=MAX_ITERS,
    train_cfg=None,
    resume=False,
    sizes=(13, 20),
    **loader,
):
    pipeline = [{"type": "mmdataseg.MakeNoisyInputs"}]
    sources = [
        {
            "name": f"s{size}",
            "task": "instance",
            "label_space": SPACE,
            "train": {"type": "mmdataseg.NoisyNumbers", "size": size, "pipeline": pipeline},
        }
        for size in sizes
    ]
    torch.manual_seed(0)  # so that all runs start from the same weights, whatever their seed
    return Runner(
        model=TinyModel(),
        work_dir=str(work_dir),
        experiment_name=f"{work_dir.name}_{time.monotonic_ns()}",
        train_dataloader={
            "batch_size": 4,
            "num_workers": num_workers,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "batch_sampler": {"type": "mmdataseg.RatioBatchSampler", "ratios": [1, 2]},
            "dataset": {"type": "mmdataseg.MultiSourceDataset", "sources": sources, "split": "train"},
            **loader,
        },
        train_cfg=train_cfg or {"type": "mmdataseg.ResumableTrainLoop", "max_iters": max_iters},
        optim_wrapper={"optimizer": {"type": "AdamW", "lr": 0.05}},
        param_scheduler={"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 8},
        default_hooks={
            "checkpoint": {
                "type": "CheckpointHook",
                "interval": 1 if train_cfg else STOP,
                "by_epoch": train_cfg is not None,
            }
        },
        custom_hooks=[hook],
        randomness={"seed": seed},
        resume=resume,
        log_level="WARNING",
    )


def train(work_dir, hook, **kwargs):
    runner = make_runner(work_dir, hook, **kwargs)
    runner.train()
    # persistent workers end here: left to the collection of the runner's cycles, torch waits five seconds for each
    runner.train_dataloader._iterator = None
    return runner, [p.detach().clone() for p in runner.model.parameters()]


def assert_same_run(left, right):
    (record, weights), (other, other_weights) = left, right
    assert record == other
    for a, b in zip(weights, other_weights, strict=True):
        assert torch.equal(a, b)


def test_mmengines_epoch_loop_continues_with_the_next_epoch(tmp_path):
    """In a config of mmdet's own."""

    class Numbers(Hook):
        def __init__(self):
            self.seen = []

        def after_train_iter(self, runner, batch_idx, data_batch, outputs):  # noqa: ARG002
            self.seen.append((data_batch["sources"][0], tuple(map(int, data_batch["numbers"]))))

    def epochs(number):
        return {"type": "EpochBasedTrainLoop", "max_epochs": number}

    whole, first, second = Numbers(), Numbers(), Numbers()
    train(tmp_path / "whole", whole, train_cfg=epochs(3))
    train(tmp_path / "parts", first, train_cfg=epochs(1))
    train(tmp_path / "parts", second, train_cfg=epochs(3), resume=True)
    assert len(first.seen) * 3 == len(whole.seen)
    assert first.seen + second.seen == whole.seen
    assert first.seen != second.seen[: len(first.seen)]


@pytest.mark.parametrize(
    ("num_workers", "kwargs"), [(0, {}), (2, {}), (2, {"persistent_workers": True})], ids=["0", "2", "2-persistent"]
)
def test_resumed_run_equals_one_that_was_never_stopped(tmp_path, num_workers, kwargs):
    whole, first, second = Record(disturb=True), Record(stop=STOP), Record()
    _, expected = train(tmp_path / "whole", whole)
    train(tmp_path / "parts", first, num_workers=num_workers, **kwargs)
    assert sorted(first.batches) == list(range(STOP))
    runner, weights = train(tmp_path / "parts", second, num_workers=num_workers, resume=True, **kwargs)
    assert runner.iter == MAX_ITERS
    assert sorted(second.batches) == list(range(STOP, MAX_ITERS))
    assert_same_run((first.batches | second.batches, weights), (whole.batches, expected))


def test_batches_are_those_of_the_sampler(tmp_path):
    record = Record()
    runner, _ = train(tmp_path, record)
    sampler = runner.train_dataloader.batch_sampler
    assert isinstance(runner.train_loop, ResumableTrainLoop)
    for t in range(MAX_ITERS):
        source, _, indices = sampler.global_batch(t)
        assert record.batches[t][:2] == (["s13", "s20"][source], tuple(indices.tolist()))


def test_seed_changes_the_run(tmp_path):
    records = [Record(), Record()]
    weights = [train(tmp_path / str(i), record, seed=i)[1] for i, record in enumerate(records)]
    assert records[0].batches != records[1].batches
    assert not torch.equal(weights[0][0], weights[1][0])


def test_run_without_a_configured_seed_resumes_with_the_seed_it_drew(tmp_path):
    first, second, whole = Record(stop=STOP), Record(), Record()
    runner, _ = train(tmp_path / "parts", first, seed=None)
    seed = runner.train_dataloader.batch_sampler.seed
    runner, weights = train(tmp_path / "parts", second, seed=None, resume=True)
    assert runner.train_dataloader.batch_sampler.seed == seed
    _, expected = train(tmp_path / "whole", whole, seed=runner.seed)
    assert_same_run((first.batches | second.batches, weights), (whole.batches, expected))


def test_a_resumed_run_with_another_data_mix_says_so(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(loops, "print_log", lambda message, **_: said.append(message))
    train(tmp_path, Record(stop=STOP))
    train(tmp_path, Record(stop=STOP + 1), resume=True)
    assert said == []
    runner, _ = train(tmp_path, Record(), batch_size=2, resume=True)
    (message,) = said
    assert message.startswith(
        "The data mix differs from that of the checkpoint. It was 's13' (13 images, 4 per batch, "
    )
    assert "; now it is 's13' (13 images, 2 per batch, ratio 1), 's20' (20 images, 2 per batch, ratio 2)." in message
    assert runner.train_dataloader.batch_sampler.mix == {"s13": (13, 2, 1), "s20": (20, 2, 2)}


def test_ranks_with_different_data_are_refused(tmp_path, monkeypatch):
    """A copy on one of two machines lacks images: their parts of a batch would overlap."""
    monkeypatch.setattr(loops, "all_gather_object", lambda mix: [mix, {**mix, "s20": (19, 4, 2)}])
    match = r"rank 0 has .*'s20' \(20 images, .*, and rank 1 has .*'s20' \(19 images, .*; complete the copy of the data"
    with pytest.raises(UserError, match=match):
        train(tmp_path, Record())


def test_resuming_at_a_million_loads_only_what_it_trains_on(tmp_path, monkeypatch):
    loaded = []
    load = MultiSourceDataset.__getitem__
    monkeypatch.setattr(MultiSourceDataset, "__getitem__", lambda self, idx: loaded.append(idx) or load(self, idx))
    record = Record(start=1_000_000)
    start = time.perf_counter()
    runner, _ = train(tmp_path, record, max_iters=1_000_003, sizes=(13, 200_000))
    assert time.perf_counter() - start < 20
    assert sorted(record.batches) == [1_000_000, 1_000_001, 1_000_002]
    assert len(loaded) == 3 * 4
    sampler = runner.train_dataloader.batch_sampler
    assert record.batches[1_000_002][1] == tuple(sampler.global_batch(1_000_002)[2].tolist())


def test_the_iterator_that_mmengines_constructor_starts_is_released(tmp_path, monkeypatch):
    """As mmengine 0.10.7 does: its workers have fetched the first batches before the run knows where it resumes."""
    expected, first, second = Record(), Record(stop=STOP), Record()
    train(tmp_path / "whole", expected)
    iterator = mmengine.runner.loops._InfiniteDataloaderIterator
    build = iterator.__init__

    def build_eagerly(self, dataloader):
        build(self, dataloader)
        self._iterator = iter(dataloader)
        next(self._iterator)

    monkeypatch.setattr(iterator, "__init__", build_eagerly)
    train(tmp_path / "parts", first, num_workers=2)
    train(tmp_path / "parts", second, num_workers=2, resume=True)
    assert first.batches | second.batches == expected.batches


def test_a_dataloader_that_is_started_early_does_not_change_the_initial_weights(tmp_path, monkeypatch):
    """mmengine 0.10.7 starts it in the constructor of its loop; the weights are initialised afterwards."""
    iterator = mmengine.runner.loops._InfiniteDataloaderIterator
    build = iterator.__init__
    started = []

    def build_eagerly(self, dataloader):
        build(self, dataloader)
        started.append(iter(dataloader))

    monkeypatch.setattr(iterator, "__init__", build_eagerly)
    runner = make_runner(tmp_path, Record())
    state = torch.get_rng_state()
    assert isinstance(runner.train_loop, ResumableTrainLoop)
    assert len(started) == 1
    assert torch.equal(torch.get_rng_state(), state)


def test_one_iterator_serves_a_run_of_several_passes(tmp_path, monkeypatch):
    """mmengine 0.10.7 starts another one, in the constructor of its loop, and takes no batch from it."""
    drawn = []
    iterate = RatioBatchSampler.__iter__

    def counted(self):
        drawn.append(0)
        mine = len(drawn) - 1
        for batch in iterate(self):
            drawn[mine] += 1
            yield batch

    monkeypatch.setattr(RatioBatchSampler, "__iter__", counted)
    runner, _ = train(tmp_path, Record(), max_iters=30)
    assert len(runner.train_dataloader) == 12
    assert [number for number in drawn if number] == [30]


def test_generators_depend_on_seed_iteration_and_rank():
    drawn = []
    for where in [(1, 2, 0), (1, 2, 0), (1, 2, 1), (1, 3, 0), (2, 2, 0)]:
        _seed_generators(*where)
        drawn.append((random.random(), np.random.rand(), torch.rand(()).item()))
    assert drawn[0] == drawn[1]
    assert [len({d[i] for d in drawn}) for i in range(3)] == [4, 4, 4]


def test_other_batch_samplers_are_left_to_mmengine(tmp_path):
    record = Record()
    loader = {"batch_sampler": None, "sampler": {"type": "InfiniteSampler", "shuffle": False}}
    runner, _ = train(tmp_path, record, max_iters=3, **loader)
    assert runner.iter == 3
    assert [record.batches[t][1] for t in range(3)] == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11)]


@pytest.mark.parametrize("stop", [None, 7])
def test_hooks_and_validation_come_where_mmengine_puts_them(tmp_path, monkeypatch, stop):
    def events(kind):
        seen = []
        call = Runner.call_hook
        with monkeypatch.context() as patch:
            patch.setattr(Runner, "call_hook", lambda self, name, **kw: seen.append(name) or call(self, name, **kw))
            val_loop = SimpleNamespace(run=lambda: seen.append("validate"))
            patch.setattr(Runner, "val_loop", property(lambda self: val_loop))  # noqa: ARG005
            runner = make_runner(tmp_path / kind, Record(stop=stop))
            runner._train_loop.update(type=kind, val_begin=4, val_interval=3)
            runner.train()
        return seen

    ours = events("mmdataseg.ResumableTrainLoop")
    assert ours == events("IterBasedTrainLoop")
    assert ours.count("validate") == (3 if stop is None else 1)  # after iterations 6, 9 and 11


def test_averaged_weights_that_are_validated_before_training_are_the_initial_ones(tmp_path, monkeypatch):
    """mmengine's ``EMAHook`` copies the model before its weights are initialised."""
    seen = []

    def validate():
        (average,) = (hook for hook in runner.hooks if isinstance(hook, EMAHook))
        average.before_val_epoch(runner)
        seen.append(runner.model.linear.weight.detach().clone())
        average.after_val_epoch(runner)

    monkeypatch.setattr(Runner, "val_loop", property(lambda self: SimpleNamespace(run=validate)))  # noqa: ARG005
    monkeypatch.setattr(TinyModel, "init_weights", lambda self: nn.init.constant_(self.linear.weight, 7.0))
    runner = make_runner(tmp_path, dict(type="EMAHook"), max_iters=2)
    runner._train_loop.update(val_begin=0)
    runner.train()
    assert torch.equal(seen[0], torch.full((3, 3), 7.0))
    assert not torch.equal(seen[1], seen[0])


def test_unknown_keyword_is_a_type_error(tmp_path):
    runner = make_runner(tmp_path, Record())
    with pytest.raises(TypeError, match="max_epochs"):
        ResumableTrainLoop(runner=runner, dataloader=runner._train_dataloader, max_iters=3, max_epochs=4)


def test_a_finished_run_that_is_resumed_says_so(tmp_path, monkeypatch):
    train(tmp_path / "run", Record(), max_iters=STOP)
    said = []
    monkeypatch.setattr(loops, "print_log", lambda message, **_: said.append(message))
    again = Record()
    train(tmp_path / "run", again, max_iters=STOP, resume=True)
    assert again.batches == {}
    assert said == [f"Already at iteration {STOP} of {STOP}: nothing to train; increase train_cfg.max_iters"]
