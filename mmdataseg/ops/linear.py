"""Linear layers, 1 x 1 convolutions and products by the faster of two libraries on a CPU.

torch computes all of them by MKL's matrix products. MKL does not use AVX-512 on AMD processors. oneDNN's convolutions
use it, and take half the time there. torch gives a 1 x 1 convolution on one thread to oneDNN only if it is
strided or dilated; the dilation of a kernel of one cell changes nothing else.

Letters: X any leading dimensions, B images, C input channels, D output channels, R rows, S masks.
"""

import ctypes
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST = 2**23  # multiplications from which a product is faster as a convolution


def _leaves_out_avx512(cpu_info: Path) -> bool:
    """Whether this is an AMD processor with AVX-512, and MKL was not told to use it (docs/benchmarks.md)."""
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available() and cpu_info.is_file()):
        return False
    cpu = cpu_info.read_text(encoding="utf-8")
    told = hasattr(ctypes.CDLL(None), "mkl_serv_intel_cpu_true")
    return "AuthenticAMD" in cpu and "avx512f" in cpu.split() and not told


# computed at import: reading a file or a library in the forward pass would break torch.compile's graph
MKL_LEAVES_OUT_AVX512 = _leaves_out_avx512(Path("/proc/cpuinfo"))


def linear(x_XC: Tensor, weight_DC: Tensor, bias_D: Tensor | None = None) -> Tensor:
    """``F.linear``, the same to rounding.

    Args:
        x_XC: (..., C) float.
        weight_DC: (D, C).
        bias_D: (D,); None: no bias.

    Returns:
        (..., D).
    """
    channels = weight_DC.shape[1]
    if not _as_convolution(x_XC, len(weight_DC)):
        return F.linear(x_XC, weight_DC, bias_D)
    cells = x_XC.reshape(1, -1, 1, channels).permute(0, 3, 1, 2)
    return convolution_1x1(cells, weight_DC[..., None, None], bias_D).permute(0, 2, 3, 1).reshape(*x_XC.shape[:-1], -1)


def convolution_1x1(x_BCHW: Tensor, weight_DC11: Tensor, bias_D: Tensor | None = None) -> Tensor:
    """``F.conv2d`` with a kernel of one cell, the same to rounding; (B, D, H, W)."""
    return F.conv2d(x_BCHW, weight_DC11, bias_D, dilation=2 if _by_onednn(x_BCHW) else 1)


def products(x_XRC: Tensor, other_XDC: Tensor) -> Tensor:
    """The products of all rows with all others, ``x @ other.mT``, the same to rounding.

    Args:
        x_XRC: (..., R, C) float.
        other_XDC: (..., D, C) with the same leading dimensions; or (D, C) for all.

    Returns:
        (..., R, D).
    """
    if other_XDC.dim() == 2:
        return linear(x_XRC, other_XDC)
    if other_XDC.dim() != 3 or not _as_convolution(x_XRC[0], other_XDC.shape[1]):
        return x_XRC @ other_XDC.mT
    return torch.stack([linear(x_RC, other_DC) for x_RC, other_DC in zip(x_XRC, other_XDC, strict=True)])


def mask_logits(embeds_BSC: Tensor, features_BCHW: Tensor) -> Tensor:
    """The products of mask embeddings with every cell of the features of their image.

    Args:
        embeds_BSC: (B, S, C) float.
        features_BCHW: (B, C, H, W).

    Returns:
        (B, S, H, W).
    """
    if not (_as_convolution(embeds_BSC[0], features_BCHW[0, 0].numel()) and _by_onednn(features_BCHW)):
        # not einsum: it makes several views for each product, and clones those of a batch of one
        return (embeds_BSC @ features_BCHW.flatten(2)).unflatten(2, features_BCHW.shape[2:])
    images = zip(embeds_BSC, features_BCHW.split(1), strict=True)
    logits = [convolution_1x1(features_1CHW, embeds_SC[..., None, None]) for embeds_SC, features_1CHW in images]
    return (torch.cat(logits) if len(logits) > 1 else logits[0]).contiguous()


def _as_convolution(x_XC: Tensor, outputs: int) -> bool:
    return x_XC.numel() * outputs >= LEAST and _by_onednn(x_XC)


def _by_onednn(x: Tensor) -> bool:
    return MKL_LEAVES_OUT_AVX512 and x.device.type == "cpu" and x.dtype == torch.float32
