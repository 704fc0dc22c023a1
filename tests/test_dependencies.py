"""The messages of mmdataseg if OpenMMLab packages are missing, unsupported or mixed."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest
from packaging.requirements import Requirement

from mmdataseg import dependencies
from mmdataseg.dependencies import FAMILIES, OPTIONAL, check_dependencies

ONEDL = {d: low for d, low, _ in FAMILIES["onedl"].values()}
ORIGINAL = {d: low for d, low, _ in FAMILIES["openmmlab"].values()}


@pytest.fixture
def environment(monkeypatch):
    """Pretend that only these distributions, name -> version, and these modules are installed."""

    def pretend(versions: dict[str, str], modules: tuple[str, ...] = dependencies.MODULES) -> None:
        def version(name: str) -> str:
            if name not in versions:
                raise PackageNotFoundError(name)
            return versions[name]

        monkeypatch.setattr(dependencies, "version", version)
        monkeypatch.setattr(dependencies, "find_spec", lambda name: object() if name in modules else None)

    return pretend


@pytest.mark.parametrize("versions", [ONEDL, ORIGINAL, {}], ids=["onedl", "original", "source checkouts"])
def test_either_family_is_accepted(environment, versions):
    environment(versions)
    check_dependencies()


def test_nothing_installed_names_the_default_family(environment):
    environment({}, modules=())
    with pytest.raises(ImportError, match=r"needs mmengine, which is not installed.*onedl-mmdetection==3\.5\.1"):
        check_dependencies()


def test_a_missing_package_is_named_in_the_installed_family(environment):
    environment({d: v for d, v in ORIGINAL.items() if d != "mmsegmentation"}, modules=("mmengine", "mmcv", "mmdet"))
    with pytest.raises(ImportError, match=r"needs mmseg, .*mmsegmentation==1\.2\.2.*mmdataseg\[openmmlab\]"):
        check_dependencies()


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        (ONEDL | {"onedl-mmcv": "2.3.5"}, r"onedl-mmcv >= 2\.3\.6, < 3\.0; 2\.3\.5 is installed"),
        (ORIGINAL | {"mmcv": "2.2.0"}, r"mmcv >= 2\.1\.0, < 2\.2\.0; 2\.2\.0 is installed"),
        (ORIGINAL | {"mmdet": "2.28.2"}, r"mmdet >= 3\.3\.0, < 4\.0; 2\.28\.2 is installed"),
    ],
)
def test_unsupported_versions_are_named(environment, versions, message):
    environment(versions)
    with pytest.raises(ImportError, match=message):
        check_dependencies()


def test_versions_compare_as_numbers_and_suffixes_do_not_matter(environment):
    environment(ONEDL | {"onedl-mmengine": "0.10.100", "onedl-mmcv": "2.10.0rc1+cpu"})
    check_dependencies()


def test_the_two_families_cannot_be_mixed(environment):
    environment({**ONEDL, "mmdet": "3.3.0"})
    with pytest.raises(ImportError, match=r"both OpenMMLab families.*pip uninstall mmdet"):
        check_dependencies()


def test_importing_the_package_loads_nothing_heavy():
    """mmengine's config room is loaded, so that it knows our scope; it does not import torch."""
    code = "import sys, mmdataseg; print(sorted({'torch', 'mmcv', 'mmdet', 'mmseg', 'open_clip'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_what_an_optional_package_is_installed_with_fits_the_extras(repo_root):
    """In the messages, in the extras of the package, and on the page about the browser."""
    lines = [
        line
        for name in ("fast", "results", "web")
        for line in (repo_root / f"requirements/{name}.txt").read_text().split("\n")
    ]
    pinned = {Requirement(line).name: Requirement(line) for line in lines if line and not line.startswith("#")}
    assert set(OPTIONAL) == set(pinned)
    for name, (requirement, _) in OPTIONAL.items():
        (version,) = (part.version for part in pinned[name].specifier)
        assert Requirement(requirement).name == name
        assert version in Requirement(requirement).specifier
    assert f'pip install "{OPTIONAL["gradio"][0]}"' in (repo_root / "docs/web.md").read_text()
