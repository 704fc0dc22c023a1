"""The benchmark runs at tiny sizes, so that it keeps working; times are not checked."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest
import torch

from tests import layouts
from tools.benchmarks import comparing, metrics, operations, report
from tools.benchmarks.comparing import PRESETS, Comparison, Missing, Result, Setting


@pytest.fixture(scope="module")
def command():
    return layouts.load_tool("benchmark.py")


@pytest.fixture
def without_a_fork(monkeypatch):
    """Rows are measured in this process: the threads of earlier tests do not survive a fork."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(comparing, "apart", lambda _, *arguments: comparing.compare(*arguments))
    yield
    torch.set_num_threads(threads)


def test_both_sides_alternate_after_one_call_that_is_not_counted():
    calls = []
    sides = {side: (lambda side=side: calls.append(side)) for side in comparing.SIDES}
    row = comparing.compare(Comparison("row", "them", lambda: sides, "size"), Setting(rounds=3))
    assert calls == ["ours", "theirs", "ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert [len(row.seconds[side]) for side in comparing.SIDES] == [3, 3]


def test_ratio_is_that_of_the_medians_and_the_spread_that_of_the_rounds():
    row = Result("row", "them", "size", {"ours": [1.0, 2.0, 9.0], "theirs": [4.0, 4.0, 3.0]}, {"ours": 5, "theirs": 10})
    assert row.ratio == 0.5
    assert row.spread == (0.25, 3.0)
    assert row.memory_ratio == 0.5
    assert report.line(row) == "| row | size | them | 0.50 | 0.25 to 3.00 | 0.50 |"


def test_a_small_ratio_keeps_a_digit():
    row = Result("row", "them", "size", {"ours": [0.004, 0.02], "theirs": [4.0, 4.0]})
    assert report.line(row) == "| row | size | them | 0.003 | 0.001 to 0.005 | - |"


def test_a_single_round_has_no_spread():
    row = Result("row", "them", "size", {"ours": [1.0], "theirs": [4.0]})
    assert report.line(row) == "| row | size | them | 0.25 | one round | - |"


@pytest.mark.parametrize(("seconds", "rounds"), [(20, 1), (1, 2), (1e-3, comparing.MOST_ROUNDS)])
def test_a_row_without_a_number_of_rounds_is_run_for_three_seconds(monkeypatch, seconds, rounds):
    monkeypatch.setattr(comparing, "_seconds", lambda *_: seconds)
    row = comparing.compare(Comparison("row", "them", lambda: dict.fromkeys(comparing.SIDES, int), "size"), Setting())
    assert [len(row.seconds[side]) for side in comparing.SIDES] == [rounds, rounds]


def test_a_missing_yardstick_is_skipped_with_its_reason():
    def prepare():
        raise Missing("not installed")

    row = comparing.compare(Comparison("row", "them", prepare, "size"), Setting())
    assert report.line(row) == "skipped: row, against them: not installed"


@pytest.mark.skipif(torch.__version__ < operations.PROFILER, reason="the profiler of this torch is too coarse")
def test_operations_are_counted_without_views_and_the_first_call():
    calls = []

    def call():
        calls.append(1)
        return torch.ones(4).view(2, 2).T @ torch.ones(2, 2) if len(calls) % 2 == 0 else torch.eye(9).exp()

    row = Comparison("row", "them", lambda: {"ours": call, "theirs": lambda: torch.ones(2).add_(1)}, "size")
    assert operations.operations(row) == {"ours": 3, "theirs": 2}  # two fills and a product; a fill and a sum


def test_operations_are_not_counted_by_a_coarse_profiler(monkeypatch):
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion("2.1.2+cpu"))
    with pytest.raises(Missing, match=r"operations are counted with torch >= 2\.5, here is 2\.1\.2\+cpu"):
        operations.operations(Comparison("row", "them", dict, "size"))


@pytest.mark.usefixtures("without_a_fork")
def test_a_row_is_printed_as_soon_as_it_is_measured(command, capsys, monkeypatch):
    printed = []
    measure = comparing.measure
    monkeypatch.setattr(comparing, "measure", lambda *a: (printed.append(capsys.readouterr().out), measure(*a))[1])
    command.main(["sampler", "--preset", "tiny", "--threads", "1"])
    assert report.HEADER in printed[0]
    assert all("| mmdet MultiDataSampler |" in before for before in printed[1:])


FREED = "blocks = [torch.ones(2**16) for _ in range(2**10)]; keep = blocks[-1]; del blocks; "


@pytest.mark.parametrize("before", ["", FREED], ids=["fresh", "freed before"])
def test_peak_memory_is_that_of_the_call(before):
    """Also if memory was freed before, here 256 MiB below a block that is still used."""
    code = (
        f"import torch; from tools.benchmarks import comparing; {before}"
        "print(comparing.peak_memory(lambda: [torch.ones(2**16) for _ in range(2**10)], 'cpu'))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=layouts.ROOT, capture_output=True, text=True, check=True)
    assert 250 <= float(done.stdout) <= 300  # 2^26 floats


@pytest.mark.usefixtures("without_a_fork")
@pytest.mark.parametrize("subcommand", ["postprocess", "metric", "sampler"])
def test_table_json_and_plot(command, subcommand, tmp_path, capsys):
    files = [tmp_path / "a/result.json", tmp_path / "b/plot.png"]
    words = [subcommand, "--preset", "tiny", "--threads", "1"]
    command.main([*words, "--json", str(files[0]), "--plot", str(files[1])])
    printed = capsys.readouterr().out
    assert report.HEADER in printed
    content = json.loads(files[0].read_text())
    assert content["settings"]["preset"] == "tiny"
    assert content["threads"] == 1
    assert torch.__version__.startswith(content["versions"]["torch"])
    rows = len(command.SUBCOMMANDS[subcommand](PRESETS["tiny"]))
    assert len(content["results"]) == rows
    assert all(row["ratio"] > 0 for row in content["results"] if not row["skipped"])
    assert all(row["wall_seconds"] > sum(map(sum, row["seconds"].values())) for row in content["results"])
    assert files[1].stat().st_size > 0


def test_all_leaves_out_what_torch_has_to_compile(command):
    def names(subcommand):
        args = command.parse_args([subcommand, "--preset", "tiny"])
        return {f"{row.name} / {row.yardstick}" for _, row in command.comparisons_of(args, command.setting_of(args))}

    left_out = set().union(*map(names, command.SUBCOMMANDS)) - names("all")
    assert len(left_out) == 2
    assert all("compiled" in name for name in left_out)


def test_names_of_rows_are_unique(command):
    """`--memory` finds a row by its name and yardstick."""
    for subcommand, comparisons in command.SUBCOMMANDS.items():
        names = [(row.name, row.yardstick) for row in comparisons(PRESETS["tiny"])]
        assert len(set(names)) == len(names), subcommand


@pytest.mark.slow
@pytest.mark.parametrize("subcommand", ["train-step", "inference", "data"])
def test_rows_run_with_threads_and_workers(subcommand):
    """In a fresh process, as the threads of earlier tests do not survive a fork."""
    words = [sys.executable, "tools/benchmark.py", subcommand, "--preset", "tiny", "--threads", "2"]
    passive = {**os.environ, "OMP_WAIT_POLICY": "passive"}  # threads that wait leave the cores to other work
    done = subprocess.run(words, cwd=layouts.ROOT, capture_output=True, text=True, check=True, env=passive)
    assert sum(line.startswith("| ") for line in done.stdout.splitlines()) > 1
    assert "failed" not in done.stdout


def test_imports_start_no_cuda():
    """A forked process could not use it. NVML, which the test replaces, finds a GPU; the runtime is not asked."""
    code = (
        "import torch; torch.cuda._device_count_nvml = lambda: 1; from tools import benchmark; "
        "from tools.benchmarks.apart import apart; print(apart(torch.cuda._is_in_bad_fork))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=layouts.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.usefixtures("without_a_fork")
def test_memory_of_each_side_in_a_fresh_process(command, capsys):
    command.main(["sampler", "--preset", "tiny", "--threads", "1", "--only", "resumed", "--memory"])
    assert re.search(r"^\| resumed sampler .* \| (-|[\d.]+) \|$", capsys.readouterr().out, flags=re.M)


def test_a_process_that_was_killed_is_named_as_such(tmp_path, capsys):
    script = tmp_path / "killed.py"
    script.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert comparing.memory_of("row", "sampler", [], script) == {}
    assert "row: no peak memory of ours: its process was killed (signal 9)" in capsys.readouterr().err


@pytest.mark.parametrize("other", [["--json", "a.json"], ["--plot", "a.svg"], ["--memory"]])
def test_a_trace_with_results_that_it_would_not_write_is_refused(command, other, capsys):
    with pytest.raises(SystemExit):
        command.main(["postprocess", "--preset", "tiny", "--trace", "trace.json", *other])
    assert "--trace measures nothing, so --json, --plot and --memory cannot be given with it" in capsys.readouterr().err


def test_the_trace_has_a_call_of_ours_for_each_row(command, tmp_path):
    path = tmp_path / "trace.json"
    command.main(["postprocess", "--preset", "tiny", "--trace", str(path)])
    names = {event.get("name") for event in json.loads(path.read_text())["traceEvents"]}
    assert {"panoptic answer", "instances"} <= names


def test_counts_of_the_metric_equal_verniers():
    pytest.importorskip("vernier")
    assert metrics.counts_differ(metrics.pairs(PRESETS["tiny"])) == []


def test_commands_of_the_page_parse(command, repo_root):
    page = (repo_root / "docs/benchmarks.md").read_text()
    commands = re.findall(r"^python tools/benchmark\.py (.+)$", page, flags=re.M)
    assert commands
    for words in commands:
        command.parse_args(shlex.split(words))


def test_numbers_below_1_are_refused(command, capsys):
    with pytest.raises(SystemExit):
        command.parse_args(["train-step", "--rounds", "0"])
    assert "must be at least 1" in capsys.readouterr().err
