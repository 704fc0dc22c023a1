"""The study on photographs: its rows, its data, its page, and a tiny one from beginning to end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file

from mmdataseg.apis.config.files import leaf_configs
from projects.study.command import command_of, described
from projects.voc import voc_study
from projects.voc.study import voc_data
from projects.voc.study.voc_page import Setting, write_page
from projects.voc.study.voc_rows import (
    ALL,
    COLUMNS,
    COMBINATIONS,
    CONFIGS,
    ERRORS,
    FILLED,
    LENGTHS,
    SHARES,
    STEADY_BOXES,
    STEADY_TRAINING,
    TRANSFER,
    UPPER_BOUND,
    WITH_CAMVID,
    all_rows,
    findings,
    longer,
    on_training_images,
)
from projects.voc.tests.files import write_embeddings, write_real_world

SETTING = Setting(
    iterations_per_source=300,
    command="python -m projects.voc.voc_study",
    images={"semantic": 440, "panoptic": 441, "boxes": 442, "val": 445},
    runs=60,
    iterations=38700,
    seeds=3,
    options={},
)


def args(*words):
    return voc_study.parse_args(words)


def run(seed, value, iterations=900, **metrics):
    facts = {"batch_size": 8, "parameters": 5, "machine": "a laptop", "device": "cpu", "threads": 1}
    scores = {**dict.fromkeys(COLUMNS.values(), value + seed), **metrics}
    seconds = 9.0 if iterations else None
    return {"asked": {"iterations": iterations}, "seed": seed, "train_seconds": seconds, "metrics": scores, **facts}


def test_all_rows_are_planned_three_times():
    rows, ablations = all_rows()
    others = {"dataseg_voc_3ds_timm", "dataseg_voc_3ds_1gpu", "dataseg_voc_3ds_dinov3"}
    assert {row.config.stem for row in rows.values()} == {leaf.stem for leaf in leaf_configs(CONFIGS)} - others
    assert [leaf.parent.name for leaf in ablations] == ["ablations"] * 7
    runs = voc_study.plan(args(), rows, {})
    assert len(runs) == 3 * len(rows) == 111
    assert [run.seed for run in runs] == [0] * 37 + [1] * 37 + [2] * 37
    assert sum(run.iterations for run in runs) == 72_000


def test_a_training_is_as_long_as_separate_ones_of_its_sources():
    rows, _ = all_rows()
    parts = {label: rows[name].parts for label, name in COMBINATIONS.items()}
    assert parts == {"S": 1, "P": 1, "B": 1, "S+P": 2, "S+B": 2, "P+B": 2, "S+P+B": 3}
    assert {rows[name].parts for name in SHARES.values()} == {2}
    assert rows[UPPER_BOUND].parts == rows[f"{ALL}_no-text"].parts == 3
    assert rows[WITH_CAMVID].parts == 4
    tested = {run.name: run.weights_of for run in voc_study.plan(args("--seeds", "1"), rows, {}) if run.weights_of}
    assert tested.pop(TRANSFER) == f"work_dirs/real_study/{ALL}/seed0"
    assert tested == {on_training_images(name): f"work_dirs/real_study/{name}/seed0" for _, name in LENGTHS}


def test_trainings_are_compared_at_equal_length():
    rows, _ = all_rows()
    lengths = [(label, rows[name].parts, rows[name].config.stem) for label, name in LENGTHS]
    assert [parts for _, parts, _ in lengths] == [1, 2, 2, 3, 3, 6, 6, 6, 6]
    assert {config for label, _, config in lengths if label == "P"} == {COMBINATIONS["P"]}
    assert {config for label, _, config in lengths if label == "S+P+B"} == {ALL}
    assert rows[longer(COMBINATIONS["S"], 3)].parts == 3


def test_the_command_on_the_page_repeats_the_study():
    line = command_of(args("--only", "S", "--jobs", "2", "--device", "cpu"), voc_study.MODULE)
    assert line == "python -m projects.voc.voc_study --iterations-per-source 300 --seeds 3"


def test_the_page_in_the_docs_is_that_of_the_results_beside_it(tmp_path, repo_root):
    for name in ("real_study.md", "real_study.json"):
        (tmp_path / name).write_bytes((repo_root / "docs" / name).read_bytes())
    voc_study.main(["--page-only", "--page", str(tmp_path / "real_study.md"), "--out", str(tmp_path / "runs")])
    for name in ("real_study.md", "real_study.json"):
        assert (tmp_path / name).read_bytes() == (repo_root / "docs" / name).read_bytes()


def lines_of(page, start):
    return [
        [c.strip() for c in line.strip("|").split("|")] for line in page.splitlines() if line.startswith(f"| {start} |")
    ]


def test_the_page_shows_scores_and_what_was_not_run(tmp_path):
    results = {
        ALL: [run(seed, 30.0, **{FILLED: 10.0 + seed, ERRORS["merged"]: 7.0}) for seed in range(3)],
        COMBINATIONS["S"]: [run(0, 20.0, 300)],
        SHARES["P 110 + B 55"]: [run(seed, 15.0, 600) for seed in range(2)],
        TRANSFER: [run(0, 0.0, 0, **{"camvid_semantic/mIoU": 12.5})],
        WITH_CAMVID: [run(0, 40.0, 1200, **{"camvid_semantic/mIoU": 50.0})],
        on_training_images(ALL): [run(seed, 0.0, 0, **dict.fromkeys(STEADY_TRAINING, 80.0)) for seed in range(2)],
    }
    _, ablations = all_rows()
    page = tmp_path / "page.md"
    write_page(page, results, setting=SETTING, ablations=described(ablations), failed=["x (seed 1)"])
    text = page.read_text()
    own, transfer = ["S+P+B", "900", "3", *["31.0 ± 1.0"] * 6, "11.0 ± 1.0"], ["S+P+B", "-", "1", "12.5"]
    errors = ["S+P+B", "900", "3", "-", "-", "7.0 ± 0.0", *["-"] * 5]
    length = [*own[:6], *["80.0 ± 0.0"] * 3]
    longer_one = ["S+P+B", "not run", "0", *["not run"] * 6]
    assert lines_of(text, r"S+P+B") == [own, own, length, longer_one, errors, transfer, own]
    assert [line[1:4] for line in lines_of(text, "S+P+B+CamVid")] == [["1,200", "1", "50.0"], ["1,200", "1", "40.0"]]
    assert lines_of(text, "S")[0] == ["S", "300", "1", *["20.0"] * 7]
    assert lines_of(text, "upper bound")[0][1:3] == ["not run", "0"]
    assert lines_of(text, "P 110 + B 55")[0][:4] == ["P 110 + B 55", "600", "2", "15.5 ± 0.7"]
    assert lines_of(text, "images S / P / B / validation")[0][1] == "440 / 441 / 442 / 445"
    assert lines_of(text, "runs of the whole study")[0][1] == "60, 38,700 iterations"
    assert "- no-merge: Ablation of dataseg_voc_3ds: training without MERGE." in text
    assert "Stopped with an error: x (seed 1)." in text
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [
        "real_study_boxes.svg",
        "real_study_lengths.svg",
        "real_study_sources.svg",
    ]
    assert "](images/real_study_boxes.svg)" in text


def test_findings_compare_the_steady_classes():
    results = {
        name: [run(seed, 10.0 * (label.count("+") + 1)) for seed in range(2)] for label, name in COMBINATIONS.items()
    }
    results[UPPER_BOUND] = [run(seed, 0.0, **{STEADY_BOXES: 50.0 + seed}) for seed in range(2)]
    results[f"{ALL}_no-merge"] = [run(seed, 20.0) for seed in range(2)]
    found = {(f.claim, f.compared): (str(f.difference), f.difference.verdict) for f in findings(results)}
    claims = {claim: value for (claim, _), value in found.items()}
    assert claims["co-training helps the label maps"] == ("+20.0 ± 1.0", "shows")
    assert claims["true masks are better than boxes"] == ("+20.0 ± 1.0", "shows")
    assert claims["boxes become masks"] == ("+0.0 ± 1.0", "within the spread")
    assert claims["MERGE in training helps"] == ("+10.0 ± 1.0", "shows")
    assert claims["text beats learned classifiers"] == ("not run", "not run")
    assert [value for (claim, _), value in found.items() if claim == "more sources help"] == [
        ("+10.0 ± 1.0", "shows")
    ] * 2


def test_without_results_every_finding_was_not_run():
    assert {f.difference.verdict for f in findings({})} == {"not run"}


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    """A small real world with a file of weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MMDATASEG_REAL_WORLD", raising=False)
    write_real_world(tmp_path / "data/real_world")
    write_embeddings(tmp_path / "data/embeddings/voc")
    import timm

    (tmp_path / "data/real_world/weights").mkdir()
    state = timm.create_model("mobilenetv2_100", pad_type="same").state_dict()
    save_file(state, tmp_path / "data/real_world/weights/mobilenetv2_100_imagenet.safetensors")
    return tmp_path / "data/real_world"


def test_other_data_are_told_apart(data):
    before = voc_data.read_data()
    assert before["images"] == {"semantic": 4, "panoptic": 4, "boxes": 4, "val": 400}
    assert set(before["embeddings"]) == {"voc20", "voc21"}
    assert voc_data.read_data() == before
    image = next((data / "voc/images/boxes").iterdir())
    image.rename(image.with_name("other.jpg"))
    after = voc_data.read_data()
    assert after["images"] == before["images"]
    assert after["names"] != before["names"]
    (data / "weights/mobilenetv2_100_imagenet.safetensors").write_bytes(b"other")
    assert voc_data.read_data()["weights"] != before["weights"]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("voc/images/boxes", "error: folder of photographs .*boxes' does not exist"),
        ("weights/mobilenetv2_100_imagenet.safetensors", "error: weights of the backbone .*README.md says"),
        ("../embeddings/voc/voc20.safetensors", "error: text embeddings .*README.md says"),
    ],
)
def test_missing_data_are_one_line(data, tmp_path, missing, message):
    (data / missing).rename(data / "elsewhere")
    with pytest.raises(SystemExit, match=message):
        voc_study.main(["--page", str(tmp_path / "page.md")])


def test_an_option_that_no_config_has_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"error: --cfg-options modelx\.queries: the config has no 'modelx'"):
        voc_study.main(["--page", str(tmp_path / "page.md"), "--cfg-options", "modelx.queries=1"])


@pytest.mark.slow
@pytest.mark.usefixtures("data")
def test_a_tiny_study_runs_and_goes_on(tmp_path, repo_root):
    command = [sys.executable, "-m", voc_study.MODULE, "--seeds=1", "--iterations-per-source=2", "--device=cpu"]
    command += [
        "--threads=1",
        "--page=page.md",
        "--only",
        "B",
        TRANSFER,
        "--cfg-options",
        "train_dataloader.batch_size=2",
    ]
    env = {**os.environ, "PYTHONPATH": str(repo_root)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = json.loads((tmp_path / "page.json").read_text())
    assert {name: seeds["0"]["asked"]["iterations"] for name, seeds in kept.items()} == {
        ALL: 6,
        COMBINATIONS["B"]: 2,
        TRANSFER: 0,
    }
    assert set(kept[ALL]["0"]["metrics"]) >= set(COLUMNS.values())
    assert "| CamVid: mIoU |" in (tmp_path / "page.md").read_text()
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert "3 runs, 3 of them finished" in done.stdout, done.stdout + done.stderr
