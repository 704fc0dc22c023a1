"""Which package may import which: read from the source, so that an import inside a function counts too."""

import ast
import importlib
import pkgutil
import sys
from pathlib import Path

import pytest

import mmdataseg

PACKAGE = Path(mmdataseg.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# A room, or a module that stands alone -> what of the package it may import. apis may import all.
ALLOWED = {
    "ops": {"ops"},
    "structures": {"errors"},
    "registry": set(),
    "errors": set(),
    "dependencies": set(),
    "progress": set(),
    "formats": {"formats", "errors", "ops", "progress", "structures"},
    "text": {"text", "structures", "errors", "formats.whole_files", "progress"},
    "sources": {"structures", "errors", "text.vocabularies"},
    "checkpoints": {"checkpoints", "ops", "structures", "text", "errors"},
    "models": {"models", "checkpoints", "errors", "ops", "structures", "text", "registry", "sources"},
    "datasets": {"datasets", "errors", "formats", "ops", "progress", "structures", "registry", "sources"},
    "evaluation": {"evaluation", "errors", "formats", "ops", "structures", "text", "registry", "sources"},
    "visualization": {"visualization", "ops", "sources", "structures"},
    "engine": {"engine", "errors", "visualization", "registry"},
    "__init__": {"dependencies"},
    "__main__": {"apis"},
}
# Other packages that rooms may import which are used without OpenMMLab.
THIRD_PARTY = {
    "ops": {"torch", "scipy"},
    "structures": {"torch"},
    "text": {"torch", "numpy", "safetensors", "open_clip", "mmengine"},
    "checkpoints": {"torch", "numpy", "safetensors", "mmengine"},
    "sources": set(),
    "dependencies": set(),
    "formats": {"numpy", "PIL", "pycocotools", "safetensors", "scipy"},
    "progress": {"tqdm"},
}
ONLY_IN = {"open_clip": "text/", "timm": "models/vitdet.py"}


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(file: Path) -> set[str]:
    """Dotted names of the modules (or of names in them) that a file imports, absolute."""
    package = ("mmdataseg", *file.relative_to(PACKAGE).parent.parts)
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def is_of(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def test_every_package_has_a_rule():
    rooms = {room_of(file) for file in MODULES}
    assert {"ops", "text", "models", "datasets", "formats", "evaluation", "engine", "apis"} <= rooms
    assert rooms <= {*ALLOWED, "apis"}, "a new room needs a rule here"
    assert "mmdataseg.datasets.transforms.loading.LoadImage" in imports_of(PACKAGE / "datasets/transforms/__init__.py")
    assert "mmdataseg.datasets.multi_source.MultiSourceDataset" in imports_of(PACKAGE / "datasets/__init__.py")


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_what_it_may(room):
    allowed = [f"mmdataseg.{name}" for name in ALLOWED[room]]
    strays = {
        f"{file.relative_to(PACKAGE)}: {name}"
        for file in MODULES
        if room_of(file) == room
        for name in imports_of(file)
        if is_of(name, "mmdataseg") and not any(is_of(name, module) for module in allowed)
    }
    assert strays == set()


@pytest.mark.parametrize("room", sorted(THIRD_PARTY))
def test_independent_rooms_import_few_other_packages(room):
    known = {*sys.stdlib_module_names, "mmdataseg", *THIRD_PARTY[room]}
    strays = {
        f"{file.relative_to(PACKAGE)}: {name}"
        for file in MODULES
        if room_of(file) == room
        for name in imports_of(file)
        if name.split(".")[0] not in known
    }
    assert strays == set()


@pytest.mark.parametrize("module", ["tools", "tests", "configs", "projects"])
def test_the_package_imports_no_tools_projects_or_tests(module):
    strays = [file for file in MODULES for name in imports_of(file) if is_of(name, module)]
    assert strays == []


@pytest.mark.parametrize("module", sorted(ONLY_IN))
def test_heavy_packages_are_imported_in_one_place_only(module):
    users = {
        file.relative_to(PACKAGE).as_posix() for file in MODULES for name in imports_of(file) if is_of(name, module)
    }
    assert users
    assert all(user.startswith(ONLY_IN[module]) for user in users)


def test_text_imports_mmengine_only_inside_functions():
    """Text embeddings can be made without OpenMMLab; messages go to its log if it is installed."""
    for file in (PACKAGE / "text").glob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith("mmengine") for name in names), file.name


def test_every_module_imports():
    names = [module.name for module in pkgutil.walk_packages([str(PACKAGE)], "mmdataseg.")]
    assert len(names) > 30
    for name in names:
        if name != "mmdataseg.__main__":
            importlib.import_module(name)


def test_no_assert_in_the_package():
    """A user's mistake is an error with a message, also under python -O."""
    found = [
        f"{file.relative_to(PACKAGE)}:{node.lineno}"
        for file in MODULES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert found == []
