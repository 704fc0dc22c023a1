"""Products by MKL and by oneDNN; both ways run here on any processor."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from mmdataseg.ops import linear as module
from mmdataseg.ops.linear import convolution_1x1, linear, mask_logits, products

CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(params=["by MKL", "by oneDNN"], autouse=True)
def way(request, monkeypatch):
    monkeypatch.setattr(module, "MKL_LEAVES_OUT_AVX512", request.param == "by oneDNN")
    monkeypatch.setattr(module, "LEAST", 1000)
    convolutions = []
    convolve = F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda *a, **k: (convolutions.append(k.get("dilation", 1)), convolve(*a, **k))[1])
    return SimpleNamespace(onednn=request.param == "by oneDNN", convolutions=convolutions)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_by_hand(way, monkeypatch):
    monkeypatch.setattr(module, "LEAST", 1)
    x, weight, bias = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0]]), torch.tensor([10.0, 20.0])
    assert linear(x, weight, bias).tolist() == [[21.0, 37.0]]
    assert products(x, weight).tolist() == [[11.0, 17.0]]
    assert mask_logits(x[None], weight[None, :, None]).tolist() == [[[[13.0, 16.0]]]]
    assert way.convolutions == ([2, 2, 2] if way.onednn else [])


@pytest.mark.parametrize("shape", [(40, 8), (5, 8, 8), (2, 3, 20, 8)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_large_layer_equals_torchs_in_values_and_gradients(way, shape, has_bias):
    inputs = [random(*shape), random(16, 8, seed=1), *([random(16, seed=2)] if has_bias else [])]
    ours, theirs = ([tensor.clone().requires_grad_() for tensor in inputs] for _ in range(2))
    found, expected = linear(*ours), F.linear(*theirs)
    torch.testing.assert_close(found, expected, **CLOSE)
    for output in (found, expected):
        (output * random(*expected.shape, seed=3)).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, **CLOSE)
    assert way.convolutions == ([2] if way.onednn else [])


def test_a_small_layer_is_a_product(way):
    linear(random(3, 8), random(16, 8))
    assert way.convolutions == []


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_are_left_to_torch(way, dtype):
    linear(random(40, 8).to(dtype), random(16, 8).to(dtype))
    assert way.convolutions == []


def test_rows_that_are_not_contiguous_are_read_as_they_are():
    x, weight = random(8, 40, 3).transpose(0, 2), random(16, 8)
    torch.testing.assert_close(linear(x, weight), F.linear(x, weight), **CLOSE)


def test_without_rows_the_result_is_empty():
    assert linear(torch.zeros(0, 8), random(16, 8)).shape == (0, 16)
    assert products(torch.zeros(2, 0, 8), torch.zeros(2, 3, 8)).shape == (2, 0, 3)
    assert mask_logits(torch.zeros(2, 0, 8), torch.zeros(2, 8, 4, 5)).shape == (2, 0, 4, 5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_convolution_equals_torchs_in_both_layouts(way, layout):
    x, weight, bias = random(2, 8, 9, 7).to(memory_format=layout), random(16, 8, 1, 1, seed=1), random(16, seed=2)
    torch.testing.assert_close(convolution_1x1(x, weight, bias), F.conv2d(x, weight, bias), **CLOSE)
    assert way.convolutions[0] == (2 if way.onednn else 1)


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
@pytest.mark.parametrize("shared", [True, False])
def test_products_of_several_images(leading, shared):
    x, other = random(*leading, 30, 8), random(*(() if shared else leading), 12, 8, seed=1)
    torch.testing.assert_close(products(x, other), x @ other.mT, **CLOSE)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_mask_logits_equal_the_sum_over_channels_and_their_gradients(way, layout):
    embeds, features = random(2, 12, 8), random(2, 8, 6, 5, seed=1).to(memory_format=layout)
    pairs = [(embeds.clone().requires_grad_(), features.clone().requires_grad_()) for _ in range(2)]
    found = mask_logits(*pairs[0])
    assert way.convolutions == ([2, 2] if way.onednn and embeds[0].numel() * 30 >= 1000 else [])
    expected = torch.einsum("bsc,bchw->bshw", *pairs[1])
    assert found.is_contiguous()
    torch.testing.assert_close(found, expected, **CLOSE)
    for output in (found, expected):
        (output * random(*expected.shape, seed=3)).sum().backward()
    for a, b in zip(*pairs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, **CLOSE)


@pytest.mark.parametrize(
    ("processor", "told", "expected"),
    [
        ("AuthenticAMD avx2 avx512f", False, True),
        ("AuthenticAMD avx2 avx512f", True, False),
        ("AuthenticAMD avx2", False, False),
        ("GenuineIntel avx512f", False, False),
    ],
)
def test_processors_that_mkl_does_not_use_fully(monkeypatch, tmp_path, processor, told, expected):
    (tmp_path / "cpuinfo").write_text(processor)
    library = SimpleNamespace(mkl_serv_intel_cpu_true=None) if told else SimpleNamespace()
    monkeypatch.undo()
    monkeypatch.setattr(module.ctypes, "CDLL", lambda _: library)
    for backend in (torch.backends.mkl, torch.backends.mkldnn):
        monkeypatch.setattr(backend, "is_available", lambda: True)
    assert module._leaves_out_avx512(tmp_path / "cpuinfo") is expected
