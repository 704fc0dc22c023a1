"""Which package may import which: read from the source, so that an import inside a function counts too."""

import ast
import importlib
import importlib.util
import pkgutil
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import mmdataseg

PACKAGE = Path(mmdataseg.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# A room, or a module that stands alone -> what else of the package it imports. Neither more nor less: an edge that
# nobody uses is deleted here.
EDGES = {
    "__init__": {"dependencies"},
    "__main__": {"apis"},
    "apis": {
        *(
            "checkpoints",
            "dependencies",
            "engine",
            "errors",
            "formats",
            "models",
            "ops",
            "progress",
            "registry",
            "results",
        ),
        *("sources", "structures", "text"),
    },
    "checkpoints": {"errors", "formats", "ops", "text"},
    "datasets": {"errors", "formats", "ops", "progress", "registry", "sources", "structures"},
    "dependencies": set(),
    "engine": {"errors", "progress", "quiet_mmdet", "registry", "visualization"},
    "errors": set(),
    "evaluation": {"errors", "formats", "ops", "progress", "quiet_mmdet", "registry", "sources"},
    "formats": {"errors", "ops", "progress", "structures"},
    "models": {"checkpoints", "errors", "ops", "progress", "quiet_mmdet", "registry", "sources", "structures", "text"},
    "ops": set(),
    "progress": set(),
    "quiet_mmdet": set(),
    "registry": set(),
    "results": {"errors", "formats", "ops", "sources", "structures", "visualization"},
    "sources": {"errors", "structures", "text"},
    "structures": {"errors"},
    "text": {"errors", "formats", "progress", "structures"},
    "visualization": {"ops", "sources", "structures"},
}
# Other packages that rooms may import which are used without OpenMMLab.
THIRD_PARTY = {
    "ops": {"torch", "numpy", "scipy", "triton", "deformops"},
    "structures": {"torch"},
    "text": {"torch", "numpy", "safetensors", "open_clip", "huggingface_hub", "mmengine"},
    "checkpoints": {"torch", "numpy", "safetensors", "mmengine"},
    "sources": set(),
    "dependencies": set(),
    "formats": {"numpy", "PIL", "pycocotools", "pyspng", "safetensors", "scipy"},
    "progress": {"tqdm"},
}
ONLY_IN = {
    "deformops": "ops/deformable_attention.py",
    "gradio": "apis/web/page.py",
    "hotcoco": "evaluation/average_precision.py",
    "open_clip": "text/",
    "pyspng": "formats/png.py",
    "timm": "models/",
    "triton": "ops/deformable_attention_triton.py",
}
# module -> an optional package without which it cannot be imported
OPTIONAL = {"mmdataseg.apis.web.page": "gradio", "mmdataseg.ops.deformable_attention_triton": "triton"}


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


def test_there_is_something_to_check():
    assert "mmdataseg.datasets.transforms.loading.LoadImage" in imports_of(PACKAGE / "datasets/transforms/__init__.py")
    assert "mmdataseg.datasets.multi_source.MultiSourceDataset" in imports_of(PACKAGE / "datasets/__init__.py")


def rooms_imported_by(room: str) -> set[str]:
    """Other rooms that the files of a room import from."""
    names = {name for file in MODULES if room_of(file) == room for name in imports_of(file)}
    return {name.split(".")[1] for name in names if name.startswith("mmdataseg.")} - {room}


def test_rooms_import_each_other_as_declared():
    found = {room_of(file): rooms_imported_by(room_of(file)) for file in MODULES}
    wrong = {room: imported ^ EDGES.get(room, set()) for room, imported in found.items() if imported != EDGES.get(room)}
    assert wrong == {}, (
        "imported and not in EDGES, or the reverse; change the import, or EDGES and docs/architecture.md"
    )
    assert set(found) == set(EDGES), "a room that is new or gone; change EDGES and docs/architecture.md"


def test_the_drawing_shows_the_same_imports():
    """Without the few modules that any room may import, and without what is beside the package."""
    left_out = {"__init__", "__main__", "dependencies", "errors", "progress", "quiet_mmdet"}
    page = (PACKAGE.parent / "docs/architecture.md").read_text(encoding="utf-8")
    lines = [line.strip().split(" --> ") for line in page.split("flowchart BT")[1].split("```")[0].strip().splitlines()]
    drawn = {line[0]: set(line[1].split(" & ")) for line in lines if len(line) > 1 and line[0] in EDGES}
    declared = {room: others - left_out for room, others in EDGES.items() if room not in left_out}
    assert drawn == {room: others for room, others in declared.items() if others}


def test_no_circle_of_rooms():
    TopologicalSorter(EDGES).prepare()


def test_no_circle_of_modules():
    names = {".".join(("mmdataseg", *file.relative_to(PACKAGE).with_suffix("").parts)): file for file in MODULES}
    graph = {
        module: {name.rpartition(".")[0] for name in imports_of(file)} & set(names) - {module}
        for module, file in names.items()
    }
    assert any(graph.values())
    TopologicalSorter(graph).prepare()


def test_no_file_is_long():
    lengths = {file.relative_to(PACKAGE).as_posix(): len(file.read_text().splitlines()) for file in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def test_hardly_a_function_is_long():
    """More than 50 lines: at most one function in a hundred."""
    lengths = {
        f"{file.relative_to(PACKAGE)}: {node.name}": node.end_lineno - node.lineno + 1
        for file in MODULES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    long = {name for name, lines in lengths.items() if lines > 50}
    assert len(long) <= len(lengths) / 100, sorted(long)


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


def importable_modules() -> list[str]:
    """The modules of the package, without ``__main__`` and those whose optional package is not installed."""
    names = [module.name for module in pkgutil.walk_packages([str(PACKAGE)], "mmdataseg.")]
    return [
        name
        for name in names
        if not name.endswith("__main__") and (name not in OPTIONAL or importlib.util.find_spec(OPTIONAL[name]))
    ]


def test_every_module_imports():
    names = importable_modules()
    assert len(names) > 30
    for name in names:
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
