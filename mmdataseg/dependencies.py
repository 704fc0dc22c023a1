"""Checks, without imports, that the OpenMMLab packages are installed, of one family, in supported versions."""

import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

# family -> module -> (distribution, lowest supported version, first unsupported version). We test with the lowest.
FAMILIES: dict[str, dict[str, tuple[str, str, str]]] = {
    "onedl": {
        "mmengine": ("onedl-mmengine", "0.10.12", "1.0"),
        "mmcv": ("onedl-mmcv", "2.3.6", "3.0"),
        "mmdet": ("onedl-mmdetection", "3.5.1", "4.0"),
        "mmseg": ("onedl-mmsegmentation", "1.4.2", "2.0"),
    },
    "openmmlab": {
        "mmengine": ("mmengine", "0.10.7", "1.0"),
        "mmcv": ("mmcv", "2.1.0", "2.2.0"),
        "mmdet": ("mmdet", "3.3.0", "4.0"),
        "mmseg": ("mmsegmentation", "1.2.2", "2.0"),
    },
}
MODULES = tuple(FAMILIES["onedl"])
# optional distribution -> what pip installs, and what needs it
OPTIONAL: dict[str, tuple[str, str]] = {
    "gradio": ("gradio>=6.31,<7", "`web`"),
    "hotcoco": ("hotcoco==1.3.0", "mask AP in a tenth of the time"),
    "pandas": ("pandas==2.2.3", "`Result.to_df`"),
    "pyspng": ("pyspng==0.1.4", "faster reading of panoptic PNGs"),
    "supervision": ("supervision==0.31.2", "`Result.to_detections`"),
}


def check_dependencies() -> None:
    """Check that mmengine, mmcv, mmdet and mmseg can be imported and are supported.

    A module that is on the path without a distribution (a source checkout) has no version to check and is accepted.

    Raises:
        ImportError: A module is missing, too old or too new, or the two families are mixed. The message says what to
            install.
    """
    installed = {family: _installed(family) for family in FAMILIES}
    families = [family for family, versions in installed.items() if versions]
    if len(families) > 1:
        raise ImportError(_mixed(installed))
    family = families[0] if families else "onedl"
    for module in MODULES:
        distribution, lowest, too_new = FAMILIES[family][module]
        if find_spec(module) is None:
            raise ImportError(
                f"mmdataseg needs {module}, which is not installed. If you ran make setup, activate its environment: "
                f". .venv/bin/activate. Otherwise: {_remedy(family)}"
            )
        found = installed[family].get(distribution)
        if found is not None and not _release(lowest) <= _release(found) < _release(too_new):
            raise ImportError(
                f"mmdataseg needs {distribution} >= {lowest}, < {too_new}; {found} is installed. {_remedy(family)}"
            )


def _installed(family: str) -> dict[str, str]:
    versions = {}
    for distribution, _, _ in FAMILIES[family].values():
        try:
            versions[distribution] = version(distribution)
        except PackageNotFoundError:
            continue
    return versions


def _release(text: str) -> tuple[int, ...]:
    """Return the numbers of a version: '2.3.6rc1+cpu' -> (2, 3, 6)."""
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(n) for n in match.group().split(".")) if match else ()


def _remedy(family: str) -> str:
    pins = " ".join(f"{distribution}=={lowest}" for distribution, lowest, _ in FAMILIES[family].values())
    return (
        f"Install: pip install --no-build-isolation {pins} (pip install 'mmdataseg[{family}]' has the same versions)."
    )


def _mixed(installed: dict[str, dict[str, str]]) -> str:
    named = "; ".join(f"{family}: {', '.join(versions)}" for family, versions in installed.items())
    remove = " ".join(installed["openmmlab"])
    return (
        "mmdataseg found packages of both OpenMMLab families in one environment, where they overwrite each other "
        f"({named}). Keep one: pip uninstall {remove}, then reinstall the onedl-* packages."
    )
