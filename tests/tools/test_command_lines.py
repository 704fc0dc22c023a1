"""The command lines of all tools and projects: no abbreviations, and a suggestion for an unknown option."""

import importlib
import re

import pytest

from mmdataseg.apis import parsers
from tests.layouts import ROOT, load_tool

# Scripts without this parser, and why.
OTHERS = {
    "projects/study/run.py": "its argument is a JSON object that the study writes",
    "tools/first_losses.py": "also runs with the package of older commits, which may not have this parser",
    "tools/site/pages.py": "runs where only the packages of requirements/docs.txt are installed",
}
# Scripts whose options follow a subcommand.
SUBCOMMANDS = {"tools/benchmark.py": ["saved"]}
FILES = [file for folder in ("tools", "projects") for file in sorted((ROOT / folder).rglob("*.py"))]
TEXTS = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in FILES}
SCRIPTS = [
    name for name, text in TEXTS.items() if "arse_args(" in text and "\nif __name__" in text and name not in OTHERS
]


def mistake(script, words, capsys):
    """What a script prints about a wrong command line."""
    if script.startswith("projects/"):
        module = importlib.import_module(script.removesuffix(".py").replace("/", "."))
    else:
        module = load_tool(script.removeprefix("tools/"))
    with pytest.raises(SystemExit) as stop:
        module.main(words)
    assert stop.value.code == 2
    return capsys.readouterr().err.splitlines()[-1].partition(": error: ")[2]


def test_there_is_something_to_check():
    assert {"tools/check_data.py", "tools/dataset_converters/ade_panoptic.py", "tools/site/drawings.py"} < set(SCRIPTS)
    assert len(SCRIPTS) > 15


def test_one_parser_is_used():
    users = {name for name, text in TEXTS.items() if re.search(r"\bArgumentParser\b", text)}
    assert users == {name for name in OTHERS if name.startswith("tools/")}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_tool_refuses_an_abbreviation_and_suggests_the_option(script, capsys):
    message = mistake(script, [*SUBCOMMANDS.get(script, ()), "a", "b", "c", "--hel"], capsys)
    assert message == "unknown option '--hel'; did you mean '--help'?"


def test_a_misspelled_option_and_a_word_too_many(capsys):
    script = "tools/label_values.py"
    for words in (["--sufix", ".tif"], ["--sufix=.tif"]):
        assert mistake(script, ["maps", *words], capsys) == "unknown option '--sufix'; did you mean '--suffix'?"
    assert mistake(script, ["a", "b", "c"], capsys) == "argument 'b' is one too many"


def test_only_options_of_the_command_are_suggested(capsys):
    """A description or an explanation may name options of other commands."""
    parser = parsers.Parser(description="After this, run `train --work-dir out`.")
    parser.add_argument("--num-pots", "-n", "--number-of-pots", help="see also `water --cans`")
    for word, near in (("--work-dir", None), ("--cans", None), ("--number-of-pot", "--number-of-pots")):
        with pytest.raises(SystemExit):
            parser.parse_args([word, "3"])
        suggestion = f"; did you mean {near!r}?" if near else ""
        assert capsys.readouterr().err.endswith(f"error: unknown option {word!r}{suggestion}\n")
