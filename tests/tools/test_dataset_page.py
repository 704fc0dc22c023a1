"""docs/datasets.md: its commands parse, and it has all sources and layouts."""

import re
import shlex
from pathlib import Path

import pytest
from mmengine.config import Config

from mmdataseg.apis import cli
from mmdataseg.apis.config.files import find_config
from mmdataseg.apis.parsers import Parser
from mmdataseg.text.vocabularies import known_label_spaces
from tests import layouts

KNOWN_PROGRAMS = {"python", "unzip", "tar", "mim"}


@pytest.fixture(scope="module")
def page(repo_root):
    return (repo_root / "docs/datasets.md").read_text()


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.S)


def test_every_command_parses(page, repo_root, monkeypatch):
    commands = [shlex.split(line) for block in blocks(page, "shell") for line in block.strip().splitlines()]
    assert len(commands) == 20
    assert {command[0] for command in commands} == KNOWN_PROGRAMS
    scripts = [command for command in commands if command[0] == "python"]
    assert {command[1] for command in scripts} >= {
        f"tools/dataset_converters/{path.name}" for path in (repo_root / "tools/dataset_converters").glob("*.py")
    }
    for _, script, *arguments in scripts:
        args = parsed(script, arguments, monkeypatch)
        if script.endswith("text_embeddings.py"):
            assert all(name in known_label_spaces() for name in args.vocabularies)
    for command in commands:
        if command[0] == "unzip":
            assert command[1].endswith(".zip")
            assert command[2] == "-d"
        if command[0] == "tar":
            assert command[1] == "-xf"
            assert command[3] == "-C"
        if command[0] in ("unzip", "tar"):
            assert command[-1].startswith("data")
        if command[0] == "mim":
            assert command[1] in ("train", "test")
            assert command[2] == "mmdataseg"


def test_the_command_with_regions_to_ignore_reads_them(page):
    """The options of the command reach the data and the metric of objects365_instances, and nothing else."""
    (command,) = [line for block in blocks(page, "shell") for line in block.splitlines() if line.startswith("mim test")]
    args = cli.build_test_parser().parse_args(shlex.split(command)[3:])
    plain, changed = (Config.fromfile(find_config(args.config)) for _ in range(2))
    changed.merge_from_dict(args.cfg_options)
    read = [changed.test_dataloader.dataset.sources, changed.test_evaluator.metrics]
    written = [plain.test_dataloader.dataset.sources, plain.test_evaluator.metrics]
    for sources, before in zip(read, written, strict=True):
        different = [new for new, old in zip(sources, before, strict=True) if new != old]
        assert [source["name"] for source in different] == ["objects365_instances"]
    test, scored = read[0][3].test, read[1][3].metrics[0].ann_file
    assert Path(test.data_root, test.ann_file) == Path(scored)
    assert Path(scored).name == "instances_val_1000_ignore-unmasked.json"


class Parsed(Exception):
    """Ends a tool as soon as it has read its command line."""


def parsed(script, arguments, monkeypatch):
    read = Parser.parse_args
    tool = layouts.load_tool(script.removeprefix("tools/"))

    def read_and_end(parser, *args):
        raise Parsed(read(parser, *args))

    monkeypatch.setattr(Parser, "parse_args", read_and_end)
    with pytest.raises(Parsed) as stop:
        tool.main(arguments)
    monkeypatch.undo()
    return stop.value.args[0]


def test_every_source_is_in_the_table(page, repo_root):
    rows = set(re.findall(r"^\| [^|]+ \| `(\w+)` \|", page, flags=re.M))
    files = {path.stem for path in (repo_root / "configs/_base_/sources").glob("*.py")}
    assert len(rows) == 9
    assert rows <= files


def test_generated_layouts_are_those_of_the_page(page, tmp_path):
    """Every file pattern of the page's trees matches something in the generated data."""
    for name in set(layouts.LAYOUTS) - {"garden"}:  # which has its own page
        layouts.write_layout(name, tmp_path)
    patterns = [pattern for block in blocks(page, "text") for pattern in tree_patterns(block)]
    assert len(patterns) > 25
    for pattern in patterns:
        assert list(tmp_path.glob(pattern)), pattern


def tree_patterns(block):
    """Glob patterns of an indented tree, without files that are made later or exist only in the full download."""
    root, *lines = block.strip().splitlines()
    for line in lines:
        text = line.partition("#")[0]
        if "cache/" in text:  # made by the first training
            continue
        entries = re.split(r",\s+(?![^{]*})|\s\.\.\.\s*", text.strip())
        for entry in filter(None, entries):
            for expanded in expand(entry):
                if not expanded.startswith("train/patch50"):
                    yield root.strip() + re.sub(r"<\w+>", "*", expanded)


def expand(pattern):
    """Expand braces as a shell does."""
    found = re.search(r"\{([^}]*)\}", pattern)
    if not found:
        return [pattern]
    return [
        result
        for choice in found[1].split(",")
        for result in expand(pattern[: found.start()] + choice + pattern[found.end() :])
    ]
