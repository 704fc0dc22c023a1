"""The page of the toy study, from invented numbers for which each verdict is known."""

import math

import pytest

from projects.study.page import NOTES
from projects.toy.study.toy_findings import COLUMNS, COMBINATIONS, FILLED, findings, without_text
from projects.toy.study.toy_page import Setting, write_page

NO_TEXT = "dataseg_toy_3ds_no-text"
SETTING = Setting(
    iterations_per_source=600,
    command="python -m projects.toy.toy_study --seeds 3",
    image_size=128,
    train_images=(120, 800, 800),
    val_images=80,
    seeds=3,
    options={},
)


def run(seed, value, iterations=1800, **metrics):
    scores = dict.fromkeys([*COLUMNS.values(), "toy_open/PQ_chance"], value + seed)
    return {
        "asked": {"iterations": iterations},
        "seed": seed,
        "batch_size": 8,
        "parameters": 3_234_129,
        "machine": "a laptop",
        "device": "cpu",
        "threads": 2,
        "train_seconds": 60.0 * (seed + 1),
        "metrics": scores | metrics,
    }


@pytest.fixture
def results():
    """Each further source adds 10 points, learned classifiers cost 0.5; P+B is missing; masks score 5 more than
    boxes."""
    found = {
        name: [run(seed, 10.0 * k, iterations=600 * k, **{FILLED: 25.0 + seed}) for seed in range(3)]
        for row, name in COMBINATIONS.items()
        for k in [row.count("+") + 1]
        if row != "P+B"
    }
    found[NO_TEXT] = [run(seed, 29.5) for seed in range(2)]
    del found[NO_TEXT][0]["metrics"]["toy_open/PQ"]
    found[NO_TEXT][1]["metrics"]["toy_open/PQ"] = math.nan
    return found


def line_of(page, start):
    (line,) = [line for line in page.splitlines() if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_tables_show_means_spreads_and_settings(results, tmp_path):
    page = tmp_path / "docs/page.md"
    results[COMBINATIONS["B"]][2]["metrics"]["toy_panoptic/PQ"] = math.nan
    write_page(page, results, setting=SETTING, ablations={NO_TEXT: "Learned class vectors."}, failed=["x (seed 1)"])
    text = page.read_text()
    assert line_of(text, "S") == ["S", "600", "3", *["11.0 ± 1.0"] * 5, "26.0 ± 1.0", "11.0 ± 1.0"]
    assert line_of(text, "B")[4] == "10.5 ± 0.7 (of 2)"
    assert line_of(text, "P+B") == ["P+B", "not run", "0", *["not run"] * 7]
    assert line_of(text, "S+P+B")[1:4] == ["1,800", "3", "31.0 ± 1.0"]
    assert line_of(text, "3ds no-text")[3:] == [*["30.0 ± 0.7"] * 6, "-"]
    assert line_of(text, "chance (S+P+B)")[-1] == "31.0 ± 1.0"
    for what, expected in {
        "iterations for each training source": "600",
        "images per iteration": "8",
        "image size": "128 x 128 pixels",
        "training images S / P / B": "120 / 800 / 800",
        "seeds wanted": "3",
        "parameters": "3,234,129",
        "machine": "a laptop",
        "time per iteration": "0.10 seconds (median)",
    }.items():
        assert line_of(text, what)[1] == expected
    assert "```shell\npython -m projects.toy.toy_study --seeds 3\n```" in text
    assert "Stopped with an error: x (seed 1)." in text
    assert "- 3ds no-text: Learned class vectors." in text


def test_findings_have_differences_and_verdicts(results):
    found = {f.compared: (str(f.difference), f.difference.verdict) for f in findings(results, [NO_TEXT])}
    spread = "± 1.4"  # sqrt(1 + 1)
    assert found["S+P+B against S, mIoU of S"] == (f"+20.0 {spread}", "shows")
    assert found["S+P+B, box-only classes: masks against filled boxes"] == (f"+5.0 {spread}", "shows")
    assert found["S+P+B against chance, PQ"] == (f"+0.0 {spread}", "within the spread")
    # P+B is missing, and so is the mean over pairs
    assert found["two against one: mean of the paper's four columns and of all rows"] == ("not run", "not run")
    # 31 against 30, spreads 1 and sqrt(0.5)
    (text,) = [value for compared, value in found.items() if NO_TEXT in compared]
    assert text == ("+1.0 ± 1.2", "within the spread")


def test_every_finding_is_listed_without_any_result():
    assert {f.difference.verdict for f in findings({})} == {"not run"}
    assert len({f.claim for f in findings({})}) == 7


def test_findings_compare_numbers_of_sources(results):
    results[COMBINATIONS["P+B"]] = [run(seed, 20.0) for seed in range(3)]
    found = {f.compared: str(f.difference) for f in findings(results)}
    assert found["two against one: mean of the paper's four columns and of all rows"] == "+10.0 ± 1.4"
    assert found["three against two: the same"] == "+10.0 ± 1.4"


def test_the_ablation_without_text_is_found_by_its_name():
    assert without_text(["dataseg_toy_3ds_no-merge", NO_TEXT]) == NO_TEXT
    assert without_text([]) is None


def test_pictures_are_small_and_the_same_for_the_same_numbers(results, tmp_path):
    for name in ("one", "two"):
        write_page(tmp_path / name / "page.md", results, setting=SETTING, ablations={})
    first, second = (sorted((tmp_path / name / "images").iterdir()) for name in ("one", "two"))
    assert len(first) == 2
    for file, again in zip(first, second, strict=True):
        assert file.read_bytes() == again.read_bytes()
        assert file.stat().st_size < 100_000
        assert f"](images/{file.name})" in (tmp_path / "one/page.md").read_text()
    assert "S+P+B" in first[0].read_text()  # text, not outlines


def test_notes_written_by_hand_are_kept(results, tmp_path):
    page = tmp_path / "page.md"
    write_page(page, {}, setting=SETTING, ablations={})
    assert "![" not in page.read_text()
    page.write_text(page.read_text().replace(NOTES[0], f"{NOTES[0]}\nTried twice the boxes: the same.\n\nAnd so on."))
    for _ in range(2):
        write_page(page, results, setting=SETTING, ablations={})
    assert f"{NOTES[0]}\nTried twice the boxes: the same.\n\nAnd so on.\n{NOTES[1]}" in page.read_text()
