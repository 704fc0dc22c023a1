"""Processes that share a batch learn what one process learns from all of it."""

import pytest
import torch

from tests.models.distributed_rank import CASES, build, gradients, same_points, samples
from tests.rank_processes import run_ranks

ALL = [
    pytest.param(design, number, id=f"{design}-{source}-empty{list(empty)}")
    for design, cases in CASES.items()
    for number, (source, empty) in enumerate(cases)
]


@pytest.fixture(
    scope="module",
    params=[2, *(pytest.param(count, marks=pytest.mark.slow) for count in (3, 4))],
    ids="{} ranks".format,
)
def ranks(request, tmp_path_factory, embeddings_file, repo_root):
    """The gradients of each rank and case; a hang ends in an error."""
    world_size = request.param
    folder = tmp_path_factory.mktemp("ranks")
    run_ranks("tests.models.distributed_rank", world_size, [str(world_size), str(folder), embeddings_file], repo_root)
    return [torch.load(folder / f"{rank}.pth", weights_only=True) for rank in range(world_size)]


@pytest.fixture(scope="module")
def networks(embeddings_file):
    return {design: build(design, embeddings_file) for design in CASES}


@pytest.mark.parametrize(("design", "case"), ALL)
def test_gradients_equal_those_of_one_process_with_the_whole_batch(ranks, networks, monkeypatch, design, case):
    monkeypatch.setattr(torch, "rand", same_points)
    network = networks[design]
    expected = gradients(network, network, samples(*CASES[design][case], len(ranks)))
    untouched = {name for name, grad in expected.items() if grad is None}
    assert bool(untouched) == (design == "per_source"), "a batch trains only its own source's queries and background"
    for rank in ranks:
        found = rank[design][case]
        assert set(found) == set(expected)
        for name, grad in expected.items():
            if grad is None:
                assert found[name] is None or not found[name].any(), name
                continue
            assert torch.isfinite(found[name]).all(), name
            tolerance = 1e-5 + 1e-3 * float(grad.abs().max())
            torch.testing.assert_close(found[name], grad, rtol=1e-3, atol=tolerance, msg=name)


@pytest.mark.parametrize(("design", "case"), ALL)
def test_all_ranks_get_the_same_gradients(ranks, design, case):
    first, *others = (rank[design][case] for rank in ranks)
    for name, grad in first.items():
        assert all(grad is other[name] is None or torch.equal(grad, other[name]) for other in others), name
