"""``checks``: what is installed, found and running; nothing ends it as a whole."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from mmdataseg.apis import cli
from mmdataseg.apis.checks import environment, files, report
from mmdataseg.apis.checks.finding import Finding, guarded
from mmdataseg.ops import linear
from mmdataseg.text.embeddings import save_embeddings
from mmdataseg.text.encoding import embed_classes
from mmdataseg.text.hashing import HashingEncoder


def states(findings):
    return {finding.name: finding.state for finding in findings}


def finding(state="ok", **more):
    return Finding(**{"area": "a", "name": "n", "state": state, "text": "t", **more})


def test_everything_runs_here_and_the_json_has_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cli.main(["checks", "--json"])  # exit code 0: nothing is broken where tests run
    printed = capsys.readouterr()
    assert "hashing encoder" not in printed.err, "it is not about the user's embeddings"
    found = json.loads(printed.out)
    assert set(found[0]) == {"area", "name", "state", "text", "remedy"}
    assert list(dict.fromkeys(one["area"] for one in found)) == list(report.CHECKS)
    assert not [one for one in found if one["state"] != "ok" and not one["remedy"]], "what to do is said"
    named = {one["name"]: one["text"] for one in found}
    assert named["torch"] == version("torch")
    assert "128 x 128 pixels" in named["panoptic segmentation on cpu"]
    assert named["mmcv's nms on cpu"] == "runs"


@pytest.mark.parametrize(("slow", "state"), [(True, "optional"), (False, "ok")])
def test_a_matrix_product_without_avx512_is_found(monkeypatch, slow, state):
    monkeypatch.setattr(linear, "MKL_LEAVES_OUT_AVX512", slow)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    assert states(environment.check_operators())["fast matrix products on cpu"] == state


def test_the_text_has_a_line_per_finding_and_the_sums(capsys):
    several = [finding(), finding("optional", remedy="get it"), finding(area="b")]
    assert report.print_report(several) == 0
    assert capsys.readouterr().out.splitlines() == [
        *("a:", "  ok       n: t", "  optional n: t; get it"),
        *("b:", "  ok       n: t"),
        "The installation works. 2 ok, 1 optional and not there, 0 broken. "
        "The first steps in docs/getting_started.md need nothing optional.",
    ]


def test_the_last_line_says_whether_the_installation_works(capsys):
    assert report.print_report([finding()]) == 0
    assert capsys.readouterr().out.endswith("The installation works. 1 ok, 0 optional and not there, 0 broken.\n")
    assert report.print_report([finding("optional"), finding("broken")]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "Something is broken: repair what those lines name. 0 ok, 1 optional and not there, 1 broken."


def test_something_broken_is_exit_code_1(monkeypatch, capsys):
    monkeypatch.setattr(report, "CHECKS", {"a": lambda: iter([finding("broken", remedy="mend it")])})
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["checks"])
    assert exit_info.value.code == 1
    assert "broken   n: t; mend it" in capsys.readouterr().out


def test_a_check_that_fails_is_a_finding_and_the_others_go_on():
    def failing():
        yield finding()
        raise ImportError("libsomething.so:\nundefined symbol")

    first, second = guarded("operators", failing)
    assert first == finding(area="operators")
    assert (second.area, second.state) == ("operators", "broken")
    assert second.text == "ImportError: libsomething.so: undefined symbol"


def test_what_libraries_print_is_not_in_the_report(capsys):
    def noisy():
        print("hello from a library")
        yield finding()

    report.print_report(noisy(), as_json=True)
    printed = capsys.readouterr()
    assert json.loads(printed.out)[0]["name"] == "n"
    assert "hello" in printed.err


def test_a_package_that_is_not_installed_is_broken_or_optional(monkeypatch):
    installed = environment._version
    monkeypatch.setattr(environment, "_version", lambda d: None if d in ("timm", "gradio") else installed(d))
    found = list(environment.check_versions())
    assert [states(found)[name] for name in ("timm", "gradio", "torch")] == ["broken", "optional", "ok"]
    assert 'pip install "gradio>=6.31,<7", if you use that' in [one.remedy for one in found]


def test_two_families_are_broken(monkeypatch):
    monkeypatch.setattr(environment, "_version", lambda _: "1.0")
    assert states(environment.check_versions())["OpenMMLab"] == "broken"


def test_no_gpu_is_optional_and_not_broken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert states(environment.check_gpu()) == {"GPU": "optional"}


def test_operators_of_another_torch_are_broken(monkeypatch):
    import mmcv.ops

    monkeypatch.setattr(mmcv.ops, "nms", lambda boxes, *_: (boxes, torch.tensor([0, 1, 2])))
    found = {one.name: one for one in environment.check_operators()}
    assert found["mmcv's nms on cpu"].state == "broken"
    assert found["mmcv's nms on cpu"].text == "kept boxes [0, 1, 2], expected [0, 2]"


def test_data_that_are_there_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert set(states(files.check_data()).values()) == {"optional"}
    root = Path("data/ADEChallengeData2016")
    for folder in ("images/training", "images/validation", "annotations/training"):
        (root / folder).mkdir(parents=True)
    found = {one.name: one for one in files.check_data()}["ade_semantic"]
    assert found.state == "optional"
    assert found.text == f"{root}/annotations/validation is not there, and 3 of 4 paths are"
    (root / "annotations/validation").mkdir()
    found = {one.name: one for one in files.check_data()}
    assert (found["ade_semantic"].state, found["ade_semantic"].text) == ("ok", f"in {root}")
    assert "coco_panoptic" not in found
    assert found["data/coco"].state == "optional"


def test_data_and_embeddings_that_are_not_there_have_a_line_per_folder(tmp_path, monkeypatch):
    """Each line says which configs need them, and how to get them. A perfect install needs none."""
    monkeypatch.chdir(tmp_path)
    found = {one.name: one for one in files.check_data()}
    assert list(found) == [
        f"data/{name}"
        for name in ("ADEChallengeData2016", "cityscapes", "coco", "mini_world", "objects365", "VOCdevkit")
    ]
    ade = found["data/ADEChallengeData2016"]
    assert ade.text.startswith("not prepared; only for configs with ade_panoptic, ade_semantic or merged_ade, such as ")
    assert ade.text.endswith("configs/dataseg_r50_3ds.py")
    assert ade.remedy == "to prepare: docs/datasets.md, python tools/dataset_converters/ade_panoptic.py"
    embeddings = {one.name: one for one in files.check_embeddings()}
    assert list(embeddings) == ["data/embeddings", "data/embeddings/mini"]
    assert "ade150_vit-l-14_openai, " in embeddings["data/embeddings"].text


@pytest.mark.parametrize(
    ("dataset", "paths"),
    [
        (dict(data_root="d", img_dir="i", ann_file="a.json", pipeline=[]), ["d/i", "d/a.json"]),
        (dict(data_root="d", ann_file="a.json", data_prefix=dict(img="i/")), ["d/a.json", "d/i"]),
        (dict(img_dir=["x", "y"], ann_dir="z", cache_dir="c"), ["x", "y", "z"]),
        (dict(data_root="d", ann_file=""), []),
    ],
)
def test_the_paths_of_a_dataset(dataset, paths):
    assert [str(path) for path in files.paths_of(dataset)] == paths


def test_embeddings_are_found_and_wrong_ones_are_broken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sources = files.own_sources()
    ade, coco = sources["ade_semantic"]["embeddings"], sources["coco_panoptic"]["embeddings"]
    assert ade not in states(files.check_embeddings())
    from mmdataseg.sources import Source

    space = Source.from_config(sources["ade_semantic"]).label_space
    Path(ade).parent.mkdir(parents=True)
    save_embeddings(Path(ade), embed_classes(HashingEncoder(dim=16), space.classes))
    save_embeddings(Path(coco), embed_classes(HashingEncoder(dim=16), ["dog"]))
    found = {one.name: one for one in files.check_embeddings()}
    assert found[ade].state == "ok"
    assert found[ade].text.startswith("150 classes, 16 dimensions, ")
    assert found[coco].state == "broken"
    assert found[coco].remedy


def test_the_commit_is_named_in_a_source_tree(repo_root):
    if not (repo_root / ".git").exists():
        pytest.skip("not a git repository")
    found = {one.name: one for one in environment.check_versions()}
    assert ", commit " in found["mmdataseg"].text
    assert sys.executable in found["python"].text
