"""The Triton kernels against ``grid_sample``.

Triton reads TRITON_INTERPRET when it is imported. So one test runs this file again in a process that has it set, in
which the kernels are interpreted on the CPU. Tests on a GPU are marked ``gpu``; nobody has run those yet.
"""

import os
import subprocess
import sys

import pytest
import torch

pytest.importorskip("triton", reason="triton is not installed; it comes with torch for CUDA")

import triton

from mmdataseg.ops import deformable_attention_triton as module
from mmdataseg.ops.deformable_attention import deformable_attention
from tests import layouts

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICES = ["cpu"] if INTERPRETED else [pytest.param("cuda", marks=pytest.mark.gpu)]
SIZES = [(3, 5), (6, 10), (7, 1)]
CELLS = 82
VERSION = tuple(int(part) for part in triton.__version__.split(".")[:2])
SUPPORTED = pytest.mark.skipif(VERSION < (3, 0), reason=f"the kernels need triton >= 3.0, here is {triton.__version__}")


def test_an_older_triton_is_refused(monkeypatch):
    """As that of torch 2.1 to 2.3."""
    monkeypatch.setattr(triton, "__version__", "2.3.1")
    with pytest.raises(ImportError, match=r"triton 2\.3\.1 is too old: expected >= 3\.0"):
        deformable_attention(torch.zeros(1, 1, 1, 1), [(1, 1)], *torch.zeros(3, 1, 1, 1, 1, 1), way="triton")


@SUPPORTED
@pytest.mark.skipif(INTERPRETED, reason="this is the process that it starts")
def test_the_kernels_in_tritons_interpreter():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", __file__]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(command, cwd=layouts.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "15 passed" in done.stdout


@SUPPORTED
@pytest.mark.skipif(INTERPRETED, reason="interpreted kernels are not compiled")
@pytest.mark.parametrize("capability", [75, 80, 90])
@pytest.mark.parametrize("kernel", ["_add_level", "_level_gradients"])
def test_the_kernels_compile_for_a_gpu_that_is_not_there(kernel, capability, monkeypatch, tmp_path):
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    function = getattr(module, kernel)
    constants = {"num_points": 4, "channels": 32, "rows": module.ROWS, "block": 32}
    floats = {"x", "y", "weights", "total", "grad_value", "grad_x", "grad_y", "grad_weights"}
    types = dict.fromkeys(function.arg_names, "i32") | dict.fromkeys(constants, "constexpr")
    # before triton 3.3, bfloat16 compiles only for GPUs that have it
    half = "*fp16" if capability < 80 and VERSION < (3, 3) else "*bf16"
    types |= {name: "*fp32" if name in floats else half for name in {"value", "grad", *floats} & types.keys()}
    built = compile(ASTSource(function, types, constants), target=GPUTarget("cuda", capability, 32))
    assert built.asm["cubin"]


def case(device, *, batch=2, queries=7, heads=3, channels=5, points=2, dtype=torch.float32):
    """Values, columns, rows and weights; many of the points are outside the maps."""
    generator = torch.Generator().manual_seed(0)
    shape = (batch, queries, heads, len(SIZES), points)
    value = torch.randn(batch, CELLS, heads, channels, generator=generator).to(dtype)
    x, y = 12 * torch.rand(2, *shape, generator=generator) - 3
    inputs = (value, x, y, torch.rand(shape, generator=generator))
    return [part.to(device).requires_grad_() for part in inputs]


def both(inputs):
    """Output and gradients by ``grid_sample`` in float32, then by Triton."""
    results = []
    for way in ("grid_sample", "triton"):
        value, *points = inputs
        answer = deformable_attention(value.float() if way == "grid_sample" else value, SIZES, *points, way=way)
        upstream = torch.randn(answer.shape, generator=torch.Generator().manual_seed(1)).to(answer)
        results.append((answer, *torch.autograd.grad(answer, inputs, upstream)))
    return results


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("changes", [
    {}, {"channels": 4}, {"channels": 1}, {"channels": 33}, {"batch": 1, "queries": 1, "heads": 1, "points": 1},
    {"queries": 16, "heads": 4, "points": 3},
], ids=str)  # fmt: skip
def test_values_and_gradients_equal_those_of_grid_sample(device, changes):
    for expected, actual in zip(*both(case(device, **changes)), strict=True):
        scale = max(1e-3, float(expected.abs().max()))
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 1e-2), (torch.float16, 1e-3)])
def test_values_of_16_bits_are_summed_in_float32(device, dtype, tolerance):
    expected, actual = both(case(device, dtype=dtype))
    assert actual[0].dtype == actual[1].dtype == dtype
    assert actual[2].dtype == torch.float32
    for reference, part in zip(expected, actual, strict=True):
        atol = tolerance * float(reference.abs().max())
        torch.testing.assert_close(part.float(), reference.float(), rtol=tolerance, atol=atol)


@pytest.mark.parametrize("device", DEVICES)
def test_one_point_by_hand(device):
    value = torch.tensor([1.0, 2.0, 3.0, 4.0], device=device).view(1, 4, 1, 1)  # one map, (1, 2) over (3, 4)
    x, y, weight = (torch.full((1,) * 5, number, device=device) for number in (0.25, 0.5, 2.0))
    answer = deformable_attention(value, [(2, 2)], x, y, weight, way="triton")
    assert answer.item() == pytest.approx(2 * (1.25 + 3.25) / 2)


@pytest.mark.parametrize("device", DEVICES)
def test_far_outside_the_output_and_the_gradients_are_zero(device):
    value, x, y, weights = case(device)
    far = (1e9 * torch.sign(x.detach())).requires_grad_()
    answer = deformable_attention(value, SIZES, far, y, weights, way="triton")
    answer.sum().backward()
    for part in (answer, value.grad, far.grad, y.grad, weights.grad):
        assert torch.equal(part, torch.zeros_like(part))


@pytest.mark.parametrize("device", DEVICES)
def test_a_nan_position_gives_nan_and_no_crash(device):
    value, x, y, weights = case(device)
    bad = x.detach().clone()
    bad[0, 0, 0, 0, 0] = float("nan")
    answer = deformable_attention(value, SIZES, bad, y, weights, way="triton")
    assert answer[0, 0, 0].isnan().all()
    assert answer[1].isfinite().all()
    answer.sum().backward()


@pytest.mark.parametrize("device", DEVICES)
def test_no_query_gives_an_empty_output_and_no_gradient(device):
    value, *points = case(device)
    answer = deformable_attention(value, SIZES, *(part[:, :0] for part in points), way="triton")
    assert answer.shape == (2, 0, 3, 5)
    answer.sum().backward()
    assert torch.equal(value.grad, torch.zeros_like(value))


@pytest.mark.parametrize("device", DEVICES)
def test_inputs_that_are_not_contiguous_give_the_same(device):
    value, *points = case(device)
    expected = deformable_attention(value, SIZES, *points, way="triton")
    turned = [part.detach().transpose(1, 2).contiguous().transpose(1, 2) for part in (value, *points)]
    assert not turned[0].is_contiguous()
    assert torch.equal(deformable_attention(turned[0], SIZES, *turned[1:], way="triton"), expected)


@pytest.mark.parametrize("device", DEVICES)
def test_backward_through_an_expanded_gradient(device):
    """The gradient of a sum is one number, expanded: its strides are 0."""
    inputs = case(device)
    sums = [deformable_attention(inputs[0], SIZES, *inputs[1:], way=way).sum() for way in ("grid_sample", "triton")]
    expected, actual = (torch.autograd.grad(total, inputs) for total in sums)
    for reference, part in zip(expected, actual, strict=True):
        torch.testing.assert_close(part, reference, rtol=1e-5, atol=1e-5 * float(reference.abs().max()))
