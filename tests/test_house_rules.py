"""No private names of other packages: read from the source, and compared with the classes that ours inherit from."""

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path

import pytest

import mmdataseg
from tests.test_architecture import importable_modules, imports_of

PACKAGE = Path(mmdataseg.__file__).parent
TOOLS = PACKAGE.parent / "tools"
FILES = sorted([*PACKAGE.rglob("*.py"), *TOOLS.rglob("*.py")])

# Class -> private names of its base classes that it uses because the library offers nothing else.
INHERITED = {
    "DaTaSeg": {"_forward"},  # abstract in mmdet's BaseDetector: each detector must define it
    "InstanceMetric": {"_coco_api", "_dataset_meta"},  # mmdet's CocoMetric has no other way to its annotations
    "InstanceSegDataset": {"_fully_initialized"},  # mmengine documents that a ``full_init`` sets it
}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def is_own(node: ast.expr) -> bool:
    """Whether an attribute of this expression belongs to the class that the code is in."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in ("super", "type")
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def foreign_private_names(tree: ast.AST) -> set[str]:
    """Private names of other code that a file uses: attributes, imports, names in strings."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and not is_own(node.value):
            found.add(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom | ast.Import):
            base = (getattr(node, "module", None) or "").split(".")
            names = [*base, *(part for alias in node.names for part in alias.name.split("."))]
            found |= {name for name in names if is_private(name)}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("attr"):
            constants = [arg.value for arg in node.args[1:2] if isinstance(arg, ast.Constant)]
            found |= {name for name in constants if is_private(name)}
    return found


def read(file: Path) -> set[str]:
    return foreign_private_names(ast.parse(file.read_text(encoding="utf-8")))


def private_names_of(kind: type) -> set[str]:
    """Private names that a class defines, reads or writes on itself."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):  # a built-in
        return {name for name in vars(kind) if is_private(name)}
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    found |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_own(node.value)}
    return {name for name in found if is_private(name)}


def own_classes() -> list[type]:
    found = {}
    for name in importable_modules():
        for kind in vars(importlib.import_module(name)).values():
            if inspect.isclass(kind) and kind.__module__ == name:
                found[f"{name}.{kind.__qualname__}"] = kind
    return list(found.values())


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("dataset._metainfo", {"dataset._metainfo"}),
        ("self.head._layers", {"self.head._layers"}),
        ("from mmengine.evaluator.metric import _to_cpu", {"_to_cpu"}),
        ("import mmengine._strategy", {"_strategy"}),
        ("getattr(loop, '_iter')", {"_iter"}),
        ("self._own + cls._own + super()._own() + type(self)._own + a.__class__ + a.public", set()),
    ],
)
def test_foreign_private_names_are_found(code, expected):
    assert foreign_private_names(ast.parse(code)) == expected


def test_no_private_name_of_other_packages_is_used():
    assert len(FILES) > 80
    strays = {f"{file.relative_to(PACKAGE.parent)}: {name}" for file in FILES for name in read(file)}
    assert strays == set()


def test_no_inherited_private_name_is_used():
    """A private name of the parent class may be removed or change its meaning in the next version."""
    classes = own_classes()
    assert len(classes) > 60
    used = {}
    for kind in classes:
        parents = [base for base in kind.__mro__ if not base.__module__.startswith("mmdataseg")]
        shared = private_names_of(kind) & {name for base in parents for name in private_names_of(base)}
        if shared:
            used[kind.__name__] = shared
    assert used == INHERITED


def test_no_constructor_changes_the_process():
    """Only a command may set warning filters and the default scope."""
    strays = set()
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                calls = {ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
                strays |= {
                    f"{file.relative_to(PACKAGE)}: {call}"
                    for call in calls
                    if call.split(".")[-1] in ("filterwarnings", "simplefilter", "init_default_scope")
                }
    assert strays == set()


def test_no_module_for_tests_is_imported():
    strays = {
        f"{file.relative_to(PACKAGE)}: {name}"
        for file in PACKAGE.rglob("*.py")
        for name in imports_of(file)
        if name.split(".")[0] in ("unittest", "pytest", "doctest")
    }
    assert strays == set()


# Functions that let the error of Python or of another library pass: all others raise a `MissingFileError`.
PLAIN_ERRORS = {
    "mmdataseg/apis/config/reading.py: read_config",  # a file in ``_base_``
    "mmdataseg/formats/image_list.py: listed_images",
    "mmdataseg/formats/json_stream.py: stream_json",
    "mmdataseg/visualization/segments.py: draw_sample",
    "tools/picture_sheet.py: stack",
    "tools/words_without_training.py: read_rows",
}


def test_docstrings_say_which_error_a_missing_file_is():
    found = {
        f"{file.relative_to(PACKAGE.parent)}: {node.name}"
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and re.search(r"^ *FileNotFoundError: ", ast.get_docstring(node) or "", flags=re.MULTILINE)
    }
    assert found == PLAIN_ERRORS


def is_text_of_error(node: ast.AST) -> bool:
    """``str(error)``, ``error.args[0]`` or ``error.message``, for a name that ends in "error"."""
    named = re.compile(r"(error|exception|exc|err)$")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str" and node.args:
        return isinstance(node.args[0], ast.Name) and bool(named.search(node.args[0].id))
    if isinstance(node, ast.Attribute) and node.attr in ("args", "message"):
        return isinstance(node.value, ast.Name) and bool(named.search(node.value.id))
    return isinstance(node, ast.Subscript) and is_text_of_error(node.value)


def comparisons_with_messages(tree: ast.AST) -> set[str]:
    """Comparisons, ``startswith`` and the like, and regular expressions that read what an error says."""
    found = set()
    for node in ast.walk(tree):
        parts: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if node.func.attr in ("startswith", "endswith", "find", "index", "count", "partition", "rpartition"):
                parts = [owner]
            elif isinstance(owner, ast.Name) and owner.id == "re":
                parts = list(node.args)
        if any(is_text_of_error(part) for part in parts):
            found.add(ast.unparse(node))
    return found


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("'no such' in str(error)", True),
        ("str(error).startswith('source ')", True),
        ("error.args[0] == 'x'", True),
        ("re.search('x', str(error))", True),
        ("isinstance(error, UserError) and error.source is not None", False),
        ("f'{path}: {error}'", False),
    ],
)
def test_the_rule_sees_comparisons_with_messages(code, seen):
    assert bool(comparisons_with_messages(ast.parse(code))) == seen


def test_no_comparison_with_the_message_of_an_error():
    strays = {
        f"{file.relative_to(PACKAGE.parent)}: {code}"
        for file in FILES
        for code in comparisons_with_messages(ast.parse(file.read_text(encoding="utf-8")))
    }
    assert strays == set()


def test_parsed_arguments_stay_in_the_command_line():
    """Below it, functions have keyword arguments that Python code can give, too."""
    users = {file.relative_to(PACKAGE).as_posix() for file in PACKAGE.rglob("*.py") if "Namespace" in names_in(file)}
    assert users == {"apis/cli.py"}


def names_in(file: Path) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Name)}
