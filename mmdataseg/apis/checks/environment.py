"""Check versions, GPUs and compiled operators."""

import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mmdataseg
from mmdataseg.apis.checks.finding import Finding
from mmdataseg.dependencies import FAMILIES, OPTIONAL

_NEEDED = ("torch", "torchvision", "timm", "open_clip_torch", "numpy", "pycocotools", "safetensors", "scipy")
_DOCS = "docs/installation.md has the install commands"


def check_versions() -> Iterator[Finding]:
    """Report the versions of Python, of this package with its commit, and of required and optional packages."""
    yield Finding("python", "ok", f"{platform.python_version()} at {sys.executable}, {platform.platform()}")
    yield Finding("mmdataseg", "ok", f"{mmdataseg.__version__}{_commit()} at {Path(mmdataseg.__file__).parent}")
    families = {name: family for name, family in FAMILIES.items() if any(_version(d[0]) for d in family.values())}
    family = families or {"onedl": FAMILIES["onedl"]}
    needed = [distribution for modules in family.values() for distribution, _, _ in modules.values()]
    for name in (*_NEEDED, *needed):
        found = _version(name)
        yield Finding(name, "ok", found) if found else Finding(name, "broken", "is not installed", _DOCS)
    if len(families) > 1:
        text, remedy = "packages of two families overwrite each other", "uninstall all of them, then install one family"
        yield Finding("OpenMMLab", "broken", text, remedy)
    for name, (requirement, use) in OPTIONAL.items():
        found = _version(name)
        if found is None:
            text, remedy = f"is not installed; needed for {use}", f'pip install "{requirement}", if you use that'
            yield Finding(name, "optional", text, remedy)
        else:
            yield Finding(name, "ok", found)


def check_gpu() -> Iterator[Finding]:
    """Report the GPUs that torch can use."""
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        text, remedy = "this torch was built without GPU support", "install a torch with CUDA, if there is a GPU"
        yield Finding("GPU", "optional", text, remedy)
        return
    if not torch.cuda.is_available():
        text, remedy = f"torch (CUDA {torch.version.cuda}) sees none", "run nvidia-smi, if there is a GPU"
        yield Finding("GPU", "optional", text, remedy)
        return
    for index in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(index)
        text = f"{found.name}, {found.total_memory / 2**30:.1f} GiB, compute capability {found.major}.{found.minor}"
        torch.ones(8, device=f"cuda:{index}").sum().item()  # an incompatible driver fails here
        yield Finding(f"cuda:{index}", "ok", f"{text}, CUDA {torch.version.cuda}")


def check_operators() -> Iterator[Finding]:
    """Run mmcv's compiled operators on the CPU and the GPU, and report which deformable attention and which kernels of
    matrix products are used."""
    import torch

    from mmdataseg.apis.registration import register_all_modules

    register_all_modules()
    yield _boxes_kept("cpu")
    yield Finding("deformable attention on cpu", "ok", "this package's sparse product")
    yield _matrix_products()
    if torch.cuda.is_available():
        yield _boxes_kept("cuda")
        yield _attention_on_gpu()


def _boxes_kept(device: str) -> Finding:
    """Check that mmcv's nms drops the second of three boxes, which has an IoU of 0.9 with the first."""
    import torch
    from mmcv.ops import nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 1, 10, 10], [20, 20, 30, 30]], device=device)
    _, kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7], device=device), 0.5)
    if kept.tolist() == [0, 2]:
        return Finding(f"mmcv's nms on {device}", "ok", "runs")
    remedy = "compile mmcv again, for the torch that is installed"
    return Finding(f"mmcv's nms on {device}", "broken", f"kept boxes {kept.tolist()}, expected [0, 2]", remedy)


def _matrix_products() -> Finding:
    """Report whether MKL leaves out AVX-512, as it does on an AMD processor unless one function is preloaded."""
    import torch

    from mmdataseg.ops.linear import MKL_LEAVES_OUT_AVX512

    name = "fast matrix products on cpu"
    if not torch.backends.mkl.is_available():
        return Finding(name, "ok", "by another library than MKL")
    if MKL_LEAVES_OUT_AVX512:
        remedy = "preload the function that docs/benchmarks.md names, if you train on the CPU"
        return Finding(name, "optional", "MKL does not use AVX-512 on this AMD processor", remedy)
    return Finding(name, "ok", "by MKL")


def _attention_on_gpu() -> Finding:
    import torch

    from mmdataseg.models.heads.pixel_decoder import deformops_is_installed, mmcv_operator_runs_on

    name, other = "deformable attention on cuda", "deformops" if deformops_is_installed() else "torch's grid_sample"
    if mmcv_operator_runs_on(torch.empty(0, device="cuda")):
        return Finding(name, "ok", f"mmcv's compiled operator; in bfloat16 {other}")
    if deformops_is_installed():
        return Finding(name, "ok", other)
    remedy = "compile mmcv with CUDA, or pip install deformops==3.0.1 (Python 3.12 or 3.13, torch >= 2.11)"
    return Finding(name, "optional", f"{other}, which is slower", remedy)


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _commit() -> str:
    """Return the commit of the source tree and whether files changed; empty for an installed wheel or without git."""
    root = Path(mmdataseg.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return ""
    describe = ["git", "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty= with changes"]
    try:
        done = subprocess.run(describe, cwd=root, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return f", commit {done.stdout.strip()}"
