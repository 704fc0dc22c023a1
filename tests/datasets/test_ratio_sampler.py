"""The stream of (source, images): exact ratios, exact epochs, the same for any number of ranks and from any start."""

import pickle
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.dataset import BaseDataset, ConcatDataset, DefaultSampler
from mmengine.runner.runner import _SlicedDataset

from mmdataseg.datasets import ratio_sampler
from mmdataseg.datasets.ratio_sampler import RatioBatchSampler
from mmdataseg.datasets.sample_stream import MAX_BLOCK, EpochStream, SourceSchedule, block_counts
from mmdataseg.datasets.seeding import SeededIndex
from mmdataseg.registry import DATA_SAMPLERS


class Sizes:
    """A dataset of which only the sizes of its sources matter."""

    def __init__(self, sizes, names=None):
        self.cumulative_sizes = np.cumsum(sizes).tolist()
        self.source_names = names or [f"s{i}" for i in range(len(sizes))]

    def __len__(self):
        return self.cumulative_sizes[-1]


def build(sizes=(20, 50, 70), batch_size=12, ratios=(1, 4, 4), seed=7, names=None, **kwargs):
    sampler = SimpleNamespace(dataset=Sizes(sizes, names))
    return RatioBatchSampler(sampler=sampler, batch_size=batch_size, ratios=ratios, seed=seed, **kwargs)


@pytest.fixture
def as_rank(monkeypatch):
    def build_as(rank, world_size, **kwargs):
        monkeypatch.setattr(ratio_sampler, "get_dist_info", lambda: (rank, world_size))
        return build(**kwargs)

    return build_as


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ((1, 4, 4), (1, 4, 4)),
        ((2, 8, 8), (1, 4, 4)),
        ((0.1, 0.2, 0.7), (1, 2, 7)),
        ((1 / 3, 2 / 3), (1, 2)),
        ((5,), (1,)),
        ((1.0, np.float64(1.5)), (2, 3)),
        ((1e-9, 1), (1, MAX_BLOCK)),
    ],
)
def test_block_counts_by_hand(ratios, expected):
    assert block_counts(ratios) == expected


def test_block_counts_of_sizes_without_a_common_divisor_keep_the_ratio():
    ratios = (20_210, 118_287, 1_742_289)
    counts = block_counts(ratios)
    assert sum(counts) <= MAX_BLOCK + len(ratios)
    np.testing.assert_allclose(np.array(counts) / sum(counts), np.array(ratios) / sum(ratios), rtol=1e-3)


def test_every_block_holds_exactly_the_ratio_in_changing_order():
    schedule = SourceSchedule(counts=(1, 4, 4), seed=3)
    sources = [schedule.at(t)[0] for t in range(900)]
    blocks = [tuple(sources[i : i + 9]) for i in range(0, 900, 9)]
    assert all(Counter(b) == {0: 1, 1: 4, 2: 4} for b in blocks)
    assert len(set(blocks)) > 80


def test_draws_before_an_iteration_equal_those_counted_by_walking():
    schedule = SourceSchedule(counts=(2, 3, 1), seed=11)
    seen = Counter()
    for t in range(100):
        source, before = schedule.at(t)
        assert before == seen[source]
        seen[source] += 1


@pytest.mark.parametrize(
    ("size", "batch"), [(20, 10), (21, 10), (29, 10), (97, 12), (24, 12), (10, 10), (15, 10), (19, 10), (7, 1), (1, 1)]
)
def test_epochs_are_permutations_and_no_batch_repeats_an_image(size, batch):
    stream = EpochStream(size=size, batch=batch, seed=5, source=1)
    draws = [stream.at(k) for k in range(12 * size // batch + 1)]
    assert all(len(set(indices.tolist())) == batch for _, indices in draws)
    epochs, indices = (np.concatenate(a) for a in zip(*draws, strict=True))
    for epoch in range(12):
        assert sorted(indices[epochs == epoch].tolist()) == list(range(size))
    # shuffled anew each time; a source of fewer than two batches, where an epoch ends with a batch
    orders = {tuple(indices[epochs == e].tolist()) for e in range(12)}
    aligned = [e for e in range(12) if size >= 2 * batch or e * size % batch == 0]
    assert len(orders) == (1 if size == 1 else len(aligned))


def test_a_source_smaller_than_a_batch_repeats_as_evenly_as_possible():
    _, indices = EpochStream(size=3, batch=8, seed=0, source=0).at(4)
    assert sorted(Counter(indices.tolist()).values()) == [2, 3, 3]


def test_batches_do_not_depend_on_which_were_asked_for_before():
    walked = EpochStream(size=53, batch=12, seed=5, source=0)
    expected = [walked.at(k)[1].tolist() for k in range(40)]
    for k in (39, 0, 17, 4, 5, 4):
        assert EpochStream(size=53, batch=12, seed=5, source=0).at(k)[1].tolist() == expected[k]
        assert walked.at(k)[1].tolist() == expected[k]


def test_seed_and_source_change_the_order():
    def order(seed, source):
        return EpochStream(size=100, batch=100, seed=seed, source=source).at(0)[1].tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(2, 0)
    assert order(1, 0) != order(1, 1)


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_global_batch_is_the_same_for_any_number_of_ranks(as_rank, world_size):
    alone = as_rank(0, 1, batch_size=12)
    ranks = [as_rank(r, world_size, batch_size=12 // world_size) for r in range(world_size)]
    for t in [*range(60), 12_345]:
        parts = [sampler.batch(t) for sampler in ranks]
        whole = [index for part in parts for index in part]
        assert whole == alone.batch(t)
        assert [index.seed for index in whole] == [index.seed for index in alone.batch(t)]
        assert len(set(whole)) == 12
        assert len({sampler.global_batch(t)[0] for sampler in ranks}) == 1
        assert {len(part) for part in parts} == {12 // world_size}


def test_a_batch_is_from_one_source_and_offsets_are_right():
    sampler = build(sizes=(20, 50, 70), batch_size=4)
    starts = [0, 20, 70, 140]
    for t in range(50):
        source, _, indices = sampler.global_batch(t)
        batch = sampler.batch(t)
        assert [int(i) - starts[source] for i in batch] == indices.tolist()
        assert all(starts[source] <= i < starts[source + 1] for i in batch)


def test_augmentation_seed_depends_on_image_and_epoch_and_run():
    def seeds(seed):
        sampler = build(sizes=(4,), batch_size=2, ratios=(1,), seed=seed)
        return [index.seed for t in range(6) for index in sampler.batch(t)]

    assert len(set(seeds(0)) | set(seeds(1))) == 24


def test_batch_sizes_per_source(as_rank):
    samplers = [as_rank(r, 2, batch_size=3, batch_sizes=[1, 2, 6]) for r in range(2)]
    for t in range(30):
        source = samplers[0].global_batch(t)[0]
        parts = [s.batch(t) for s in samplers]
        assert [len(p) for p in parts] == [[1, 2, 6][source]] * 2
        assert not set(parts[0]) & set(parts[1])


def test_len_is_the_number_of_batches_of_a_pass_and_the_next_pass_goes_on():
    # 50 / 12 -> 5 draws of 4 a block: 2 blocks; 20 / 12 -> 2 draws of 1 a block: 2 blocks; 70 / 12 -> 6 of 4: 2 blocks
    sampler = build()
    assert len(sampler) == 18
    expected = [sampler.batch(t) for t in range(54)]
    first = list(sampler)
    assert first == expected[:18]
    assert {int(i) for batch in first for i in batch} == set(range(140))
    assert list(sampler) == expected[18:36]
    assert list(sampler) == expected[36:]


def test_set_iteration_starts_anywhere_and_stop_holds_for_one_pass():
    sampler = build()
    expected = [sampler.batch(t) for t in range(100)]
    sampler.set_iteration(37, stop=41)
    assert list(sampler) == expected[37:41]
    assert list(sampler) == expected[41 : 41 + 18]
    sampler.set_iteration(3)
    assert next(iter(sampler)) == expected[3]
    with pytest.raises(ValueError, match="at least 0, got -1"):
        sampler.set_iteration(-1)


def test_starting_at_a_million_takes_seconds_and_equals_walking():
    far = 1_000_000
    sizes = (20_210, 118_287, 1_742_289)
    start = time.perf_counter()
    sampler = build(sizes=sizes, batch_size=384)
    sampler.set_iteration(far, stop=far + 20)
    there = list(sampler)
    assert time.perf_counter() - start < 10
    walked = build(sizes=sizes, batch_size=384)
    walked.set_iteration(far - 15, stop=far + 20)
    assert list(walked)[15:] == there
    # position in the epochs by hand: whole blocks of 9 with 4 draws of source 1 each, then the rest of the block
    t = next(t for t in range(far, far + 9) if walked.global_batch(t)[0] == 1)
    block = t // 9
    draw = 4 * block + sum(walked.global_batch(u)[0] == 1 for u in range(9 * block, t))
    assert walked.global_batch(t)[1][0] == draw * 384 // 118_287


def test_reseed_equals_building_with_the_seed():
    sampler = build(seed=1)
    other = build(seed=2)
    assert sampler.batch(5) != other.batch(5)
    sampler.reseed(2)
    assert [sampler.batch(t) for t in range(30)] == [other.batch(t) for t in range(30)]


def test_mmengine_builds_it_over_a_concat_dataset_with_the_samplers_seed():
    parts = [BaseDataset(lazy_init=True) for _ in range(2)]
    for part, size in zip(parts, (6, 9), strict=True):
        part.load_data_list = lambda size=size: [{"number": i} for i in range(size)]
        part.full_init()
    dataset = ConcatDataset(parts)
    sampler = DATA_SAMPLERS.build(
        {"type": "mmdataseg.RatioBatchSampler", "ratios": [1, 2]},
        default_args={"sampler": DefaultSampler(dataset, shuffle=False, seed=42), "batch_size": 3},
    )
    assert sampler.seed == 42
    batches = list(sampler)
    assert len(batches) == len(sampler) == 6
    assert Counter(len({dataset._get_ori_dataset_idx(i)[0] for i in b}) for b in batches) == {1: 6}
    assert sorted(dataset[i]["number"] for b in batches for i in b if i < 6) == list(range(6))


def test_without_any_seed_the_ranks_agree_on_one(monkeypatch):
    monkeypatch.setattr(ratio_sampler, "sync_random_seed", lambda: 99)
    assert build(seed=None).seed == 99


def test_mmengines_epochs_say_which_pass_starts():
    """Its loops and hooks tell the inner sampler, also when a run is resumed."""
    walked = build()
    passes = [list(walked) for _ in range(3)]
    resumed = build()
    resumed.sampler.epoch = 2
    assert list(resumed) == passes[2]
    assert list(resumed) == list(walked), "and then it goes on"
    for epoch in range(3):
        walked.sampler.epoch = epoch
        walked.set_iteration(3)
        assert list(walked)[: len(walked) - 3] == passes[0][3:], "who asks for an iteration gets that"
    again = build()
    for epoch, expected in enumerate(passes):
        again.sampler.epoch = epoch
        assert list(again) == expected


def test_seeded_index_is_an_int_and_keeps_its_seed_on_the_way_to_a_worker():
    index = pickle.loads(pickle.dumps(SeededIndex(5, 2**63 + 1)))
    assert index == 5
    assert [10, 11, 12, 13, 14, 15][index] == 15
    assert (type(index), index.seed) == (SeededIndex, 2**63 + 1)
    assert repr(index) == "SeededIndex(5, seed=9223372036854775809)"


def test_the_mix_is_logged_once(monkeypatch):
    lines = []
    monkeypatch.setattr(ratio_sampler, "print_log", lambda message, **_: lines.append(message))
    sampler = build(names=["ade", "coco", "objects365"], batch_size=5)
    list(sampler)
    assert len(lines) == 1
    rows = [line.split() for line in lines[0].splitlines()]
    assert rows[0][:6] == ["Data", "mix:", "blocks", "of", "9", "iterations,"]
    assert rows[2] == ["ade", "20", "1", "11.11%", "5", "36.0"]
    assert rows[3] == ["coco", "50", "4", "44.44%", "5", "22.5"]


def test_a_source_smaller_than_a_batch_is_named_in_a_warning(monkeypatch):
    lines = []
    monkeypatch.setattr(ratio_sampler, "print_log", lambda message, **_: lines.append(message))
    build(sizes=(3, 50), ratios=(1, 1), names=["tiny", "big"], batch_size=4)
    assert [line for line in lines if "tiny" in line and "3 images, fewer than the 4" in line]


@pytest.mark.parametrize(
    ("ratios", "match"),
    [
        ((1, -4, 4), r"source 'b': expected a ratio that is a finite number above 0, got -4; correct ratios of"),
        ((1, 0, 4), r"source 'b'.* got 0"),
        ((1, 4, float("nan")), r"source 'c'.* got nan"),
        ((float("inf"), 4, 4), r"source 'a'.* got inf"),
        ((1, "4", 4), r"source 'b'.* got '4'"),
        ((1, True, 4), r"source 'b'.* got True"),
        (3, r"expected a list with one ratio for each of the sources \['a', 'b', 'c'\], got 3; correct ratios of"),
        ("1:4:4", r"expected a list with one ratio .*, got '1:4:4'; correct ratios of"),
        ((1, 4), r"one ratio for each of the 3 sources \['a', 'b', 'c'\], got 2: .*; correct ratios of"),
        ((1, 4, 4, 4), r"got 4"),
        ((), r"got 0"),
    ],
)
def test_bad_ratios(ratios, match):
    with pytest.raises(ValueError, match=match):
        build(ratios=ratios, names=["a", "b", "c"])


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        (
            {"batch_size": 0},
            "source 's0': expected a batch size that is a finite whole number above 0, got 0; correct batch_size of",
        ),
        ({"batch_sizes": [1, 2]}, "one batch size for each of the 3 sources .*; correct batch_sizes of"),
        ({"batch_sizes": [1, 2.5, 3]}, "source 's1'.* got 2.5"),
        ({"seed": -1}, r"expected seed to be a whole number in \[0, 2\*\*32\), got -1"),
        ({"seed": 1.5}, "got 1.5"),
        ({"sizes": (3, 0, 4)}, "source 's1': expected at least one image"),
    ],
)
def test_bad_arguments(kwargs, match):
    with pytest.raises(ValueError, match=match):
        build(**kwargs)


def test_unknown_keyword_is_a_type_error():
    with pytest.raises(TypeError, match="shuffle"):
        build(shuffle=True)


def test_dataset_without_sources():
    with pytest.raises(ValueError, match=r"with cumulative_sizes .* got list"):
        RatioBatchSampler(sampler=SimpleNamespace(dataset=[1, 2]), batch_size=1, ratios=[1], seed=0)


def test_shortened_dataset():
    dataset = Sizes((3, 4))
    shortened = _SlicedDataset(dataset, 5)
    with pytest.raises(ValueError, match="have 7 images, but its length is 5"):
        RatioBatchSampler(sampler=SimpleNamespace(dataset=shortened), batch_size=1, ratios=[1, 1], seed=0)
