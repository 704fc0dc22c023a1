"""Every command in README and docs is accepted by the programs."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from mmdataseg.apis import cli
from mmdataseg.apis.config.files import find_config
from mmdataseg.apis.predict.arguments import is_config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted(ROOT.glob("projects/*/README.md"))
# programs of the system, which no test of this package checks
NOT_OURS = ("cd", ".", "export", "git", "mkdir", "ln", "tar", "unzip", "nvidia-smi", "cat", "echo", "gcc")


def commands(page: Path) -> list[str]:
    """Lines of the page's shell blocks, continuation lines joined."""
    blocks = re.findall(r"```(?:shell|bash|sh)\n(.*?)```", page.read_text(), flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


ALL = [pytest.param(command, page, id=f"{page.stem}: {command[:60]}") for page in PAGES for command in commands(page)]


def test_the_readme_shows_commands() -> None:
    shown = commands(ROOT / "README.md")
    for start in ("make demo", "make test", "mim train mmdataseg", "mim test mmdataseg"):
        assert any(command.startswith(start) for command in shown), start


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 120
    assert [line for line in lines if len(line) > 120] == []


def test_the_readme_says_that_no_weights_exist_before_a_command_needs_some() -> None:
    text = (ROOT / "README.md").read_text()
    assert 0 < text.index("No trained weights exist yet") < text.index(".pth")


@pytest.mark.parametrize(("command", "page"), ALL)
def test_the_command_is_accepted(command: str, page: Path) -> None:
    words = shlex.split(re.sub(r"^(\w+=\S+ )+", "", command), comments=True)
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        assert set(words[1:]) <= set(targets)
    elif words[0] == "mim" and words[1] in ("train", "test"):
        assert words[2] == "mmdataseg"
        parse_run(words[1], [word for word in words[3:] if word not in ("--gpus", "8", "1")], page)
    elif words[:3] == ["python", "-m", "mmdataseg"]:
        parse_run(words[3], words[4:], page)
    elif words[0] == "torchrun":
        start = words.index("mmdataseg")
        assert words[1:start] == ["--nproc_per_node", "8", "-m"]
        parse_run(words[start + 1], words[start + 2 :], page)
    elif words[:3] == ["python", "-m", "pytest"]:
        assert all((ROOT / word).exists() for word in words[3:] if word.startswith("tests"))
    elif words[:2] == ["python", "-m"]:
        parse_tool(words[2], words[3:])
    elif words[0] == "python":
        assert (ROOT / words[1]).is_file(), words[1]
        parse_tool(words[1].removesuffix(".py").replace("/", "."), words[2:])
    elif words[:2] == ["pip", "install"]:
        files = [words[i + 1] for i, word in enumerate(words) if word == "-r"]
        assert all((ROOT / file).is_file() for file in files)
    elif words[:2] == ["mim", "install"]:
        assert set(words[2:]) <= set((ROOT / "requirements/openmmlab.txt").read_text().splitlines())
    else:
        assert words[0] in NOT_OURS, f"no test checks {words[0]!r}"


def parse_run(verb: str, arguments: list[str], page: Path) -> None:
    """A training, test or prediction: its arguments parse, and its config exists, is on the page or in a checkpoint."""
    parsers = {
        "train": cli.build_train_parser,
        "test": cli.build_test_parser,
        "predict": cli.build_predict_parser,
        "convert": cli.build_convert_parser,
        "web": cli.build_web_parser,
        "checks": cli.build_checks_parser,
    }
    parsed = parsers[verb]().parse_args(arguments)
    if verb in ("web", "checks"):
        return
    config = parsed.inputs[0] if verb == "predict" else parsed.config
    if verb == "predict":
        assert len(parsed.inputs) >= 2
    if verb in ("predict", "test") and not is_config(config):  # a checkpoint has its config
        assert config.endswith(".pth")
        return
    if verb == "convert" and config is None:
        return
    assert f"`{config}`" in page.read_text() or find_config(config).is_file()


def parse_tool(module: str, arguments: list[str]) -> None:
    """A tool of ours: it exists, and its parser takes the arguments."""
    importlib.import_module(module).parse_args(arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_exist(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)[^)]*\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []
