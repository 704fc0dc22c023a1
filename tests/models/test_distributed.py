"""Two processes that share a batch learn what one process learns from all of it."""

import os
import subprocess
import sys

import pytest
import torch

from tests.models.distributed_rank import CASES, gradients, same_points, samples

NAMES = [f"{source}-empty{list(empty)}" for source, empty in CASES]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory, embeddings_file, repo_root):
    """For each rank and case its gradients; a hang ends in an error."""
    folder = tmp_path_factory.mktemp("ranks")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.models.distributed_rank", str(rank), str(folder), embeddings_file],
            cwd=repo_root, env=environment, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        errors = [process.communicate(timeout=150)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(errors)[-4000:]
    return [torch.load(folder / f"{rank}.pth", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("case", range(len(CASES)), ids=NAMES)
def test_gradients_equal_those_of_one_process_with_the_whole_batch(ranks, model, monkeypatch, case):
    monkeypatch.setattr(torch, "rand", same_points)
    expected = gradients(model, model, samples(*CASES[case]))
    for rank in ranks:
        assert set(rank[case]) == set(expected)
        for name, grad in expected.items():
            assert torch.isfinite(rank[case][name]).all(), name
            tolerance = 1e-5 + 1e-3 * float(grad.abs().max())
            torch.testing.assert_close(rank[case][name], grad, rtol=1e-3, atol=tolerance, msg=name)


@pytest.mark.parametrize("case", range(len(CASES)), ids=NAMES)
def test_the_ranks_step_alike(ranks, case):
    for name, grad in ranks[0][case].items():
        assert torch.equal(grad, ranks[1][case][name]), name
