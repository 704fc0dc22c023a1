"""Reading checkpoints without running what they hold."""

import os
import pickle
import threading
from argparse import Namespace
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from mmdataseg.checkpoints.addresses import download
from mmdataseg.checkpoints.reading import read_checkpoint, surprising
from mmdataseg.errors import UserError

WEIGHT = torch.arange(6.0).reshape(2, 3)


class Malicious:
    """Makes a file where it is unpickled by pickle itself."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


def must_not_run() -> None:
    raise AssertionError("it ran")


def history() -> HistoryBuffer:
    buffer = HistoryBuffer()
    buffer.update(1.5)
    buffer.update(2.5)
    return buffer


def everything() -> dict:
    """What mmengine's trainings save."""
    return {
        "state_dict": {"module.a.weight": WEIGHT, "b": torch.nn.Parameter(torch.ones(2, dtype=torch.float16))},
        "meta": {
            "cfg": "x = 1",
            "seed": np.int64(3),
            "dataset_meta": {"classes": ["dog", "sky"], "palette": np.zeros((2, 3), np.uint8)},
            "config": ConfigDict(model={"type": "X", "parts": [ConfigDict(depth=50)]}),
            "args": Namespace(launcher="none"),
        },
        "message_hub": {"log_scalars": {"loss": history()}},
        "optimizer": {"state": {0: {"step": torch.tensor(4.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    }


@pytest.fixture(params=[True, False], ids=["zip", "legacy"])
def file(request, tmp_path) -> Path:
    torch.save(everything(), tmp_path / "a.pth", _use_new_zipfile_serialization=request.param)
    return tmp_path / "a.pth"


def test_tensors_and_plain_values_are_what_was_saved(file):
    read = read_checkpoint(file)
    assert set(read.state_dict) == {"a.weight", "b"}
    assert torch.equal(read.state_dict["a.weight"], WEIGHT)
    assert read.state_dict["b"].dtype == torch.float16
    assert read.meta["cfg"] == "x = 1"
    assert read.meta["seed"] == 3
    assert read.meta["dataset_meta"]["classes"] == ["dog", "sky"]
    np.testing.assert_array_equal(read.meta["dataset_meta"]["palette"], np.zeros((2, 3)))
    assert read.content["optimizer"]["param_groups"] == [{"lr": 0.1, "params": [0]}]


def test_other_types_are_not_built_and_named(file):
    read = read_checkpoint(file)
    assert read.meta["config"] == {"model": {"type": "X", "parts": [{"depth": 50}]}}
    assert type(read.meta["config"]) is dict
    assert read.meta["args"] is None
    assert read.skipped == ("argparse.Namespace", "mmengine.config.config.ConfigDict")
    assert surprising(read.skipped) == ()
    assert surprising((*read.skipped, "theirs.Model")) == ("theirs.Model",)


def test_logs_of_scalars_are_whole_so_that_a_training_can_resume(file):
    buffer = read_checkpoint(file).content["message_hub"]["log_scalars"]["loss"]
    assert type(buffer) is HistoryBuffer
    assert buffer.mean() == 2.0
    buffer.update(5.0)
    assert buffer.statistics("max") == 5.0
    pickle.loads(pickle.dumps(buffer))


def test_a_tensor_with_attributes_is_read_without_them(tmp_path):
    marked = {"a": torch.nn.Parameter(WEIGHT.clone()), "b": WEIGHT.clone()}
    for tensor in marked.values():
        tensor.note = "mine"
    torch.save({**marked, "dtype": torch.bfloat16}, tmp_path / "a.pth")
    read = read_checkpoint(tmp_path / "a.pth")
    assert torch.equal(read.state_dict["a"], WEIGHT)
    assert torch.equal(read.state_dict["b"], WEIGHT)
    assert read.content["dtype"] is torch.bfloat16
    assert surprising(read.skipped) == ()


def test_trust_builds_everything(file):
    read = read_checkpoint(file, trust=True)
    assert read.meta["args"] == Namespace(launcher="none")
    assert read.skipped == ()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda mark: (os.system, f"touch {mark}"), f"{os.system.__module__}.system"),
        (lambda mark: (eval, f"open({str(mark)!r}, 'w').close()"), "builtins.eval"),
        (lambda mark: (exec, f"open({str(mark)!r}, 'w').close()"), "builtins.exec"),
        (lambda mark: (open, str(mark), "w"), "_?io.open"),
        (lambda mark: (partial(os.mkdir, str(mark)),), "functools.partial"),
        (lambda mark: (torch.hub.download_url_to_file, "http://localhost:1", str(mark)), "torch.hub"),
    ],
    ids=["system", "eval", "exec", "open", "partial", "hub"],
)
def test_code_in_a_pickle_does_not_run_and_is_named(tmp_path, call, name, zipped):
    mark = tmp_path / "ran"
    bad = {"state_dict": {"a": WEIGHT}, "meta": Malicious(*call(mark))}
    torch.save(bad, tmp_path / "bad.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=rf"bad\.pth': its pickle calls {name}.*nothing of it was run.*get the weights"):
        read_checkpoint(tmp_path / "bad.pth")
    assert not mark.exists()


def test_a_function_that_is_not_known_is_not_called(tmp_path):
    """Even one of no module that does harm."""
    torch.save({"state_dict": {"a": WEIGHT}, "x": Malicious(must_not_run)}, tmp_path / "a.pth")
    read = read_checkpoint(tmp_path / "a.pth")
    assert torch.equal(read.state_dict["a"], WEIGHT)
    assert len(surprising(read.skipped)) == 1


def test_what_a_pickle_does_to_a_name_does_not_last(tmp_path):
    """State that is set on a class or a function of the short list, as a malicious file may."""
    # GLOBAL HistoryBuffer; state (None, {'mean': None}); BUILD: sets attributes of the class itself
    attack = b"cmmengine.logging.history_buffer\nHistoryBuffer\n(N(dS'mean'\nNstb."
    with (tmp_path / "a.pth").open("wb") as file:
        for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(part, file, protocol=2)
        file.write(attack)
    with pytest.raises(UserError):
        read_checkpoint(tmp_path / "a.pth")
    assert HistoryBuffer.mean is not None


def test_safetensors_are_read_whatever_the_file_is_called(tmp_path):
    for name in ("a.safetensors", "a.bin"):
        save_file({"a": WEIGHT}, tmp_path / name)
        assert torch.equal(read_checkpoint(tmp_path / name).state_dict["a"], WEIGHT)


@pytest.mark.parametrize("key", ["state_dict", "model", None])
def test_a_state_dict_is_found_where_it_usually_is(tmp_path, key):
    torch.save({"a": WEIGHT} if key is None else {key: {"a": WEIGHT}}, tmp_path / "a.pth")
    assert torch.equal(read_checkpoint(tmp_path / "a.pth").state_dict["a"], WEIGHT)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_file_cut_short_is_a_sentence(tmp_path, name, share):
    path = tmp_path / name
    save_file({"a": WEIGHT}, path) if name.endswith("rs") else torch.save({"state_dict": {"a": WEIGHT}}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=r"is not a checkpoint, or was cut short .*download it again"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a checkpoint, or was cut short"),
        (b"<!DOCTYPE html><html>", "is not a checkpoint, or was cut short"),
        (None, "no such file; expected a checkpoint; check the path"),
    ],
)
def test_what_is_no_checkpoint_is_a_sentence(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_checkpoint(tmp_path / "a.pth")


def test_a_folder_and_a_program_are_refused(tmp_path):
    with pytest.raises(UserError, match="is a folder; expected a checkpoint"):
        read_checkpoint(tmp_path)
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "a.pth")
    with pytest.raises(UserError, match="got a TorchScript program, which is code"):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("content", "found"), [([1, 2], "a list"), ({"epoch": 3}, r"a dict with the keys \['epoch'\]")]
)
def test_a_file_without_tensors_says_what_it_has(tmp_path, content, found):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(UserError, match=f"expected a checkpoint with tensors.*got {found}"):
        _ = read_checkpoint(tmp_path / "a.pth").state_dict


# ---- addresses


class Server(BaseHTTPRequestHandler):
    """Answers with the file of that name in `folder`, or 404."""

    folder: Path
    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        file = self.folder / self.path.rpartition("/")[2]
        if not file.is_file():
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(file.read_bytes())

    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder, and the address it is served at."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    handler = type("Handler", (Server,), {"folder": folder, "asked": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/models", handler.asked
    server.shutdown()
    server.server_close()


def test_an_address_is_downloaded_once(served):
    folder, address, asked = served
    save_file({"a": WEIGHT}, folder / "model.safetensors")
    for _ in range(2):
        read = read_checkpoint(f"{address}/one/model.safetensors", progress=False)
        assert torch.equal(read.state_dict["a"], WEIGHT)
    assert len(asked) == 1
    download(f"{address}/two/model.safetensors", progress=False)
    assert len(asked) == 2, "another address of the same file name is another file"


def test_an_address_that_answers_404_is_a_sentence(served):
    with pytest.raises(UserError, match=r"/models/a\.pth: answers 404 \(Not Found\); expected a file; check the addr"):
        read_checkpoint(f"{served[1]}/a.pth", progress=False)


def test_a_checksum_in_the_name_is_checked(served, tmp_path):
    folder, address, _ = served
    save_file({"a": WEIGHT}, folder / "model-01234567.pth")
    with pytest.raises(UserError, match="another file than its name says"):
        read_checkpoint(f"{address}/model-01234567.pth", progress=False)
    assert not list((tmp_path / "cache").rglob("*.pth"))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:1/a.pth", "cannot be reached .*; download it elsewhere and give its path"),
        ("s3://bucket/a.pth", "expected the address of a file"),
        ("https://host.invalid/", "expected the address of a file"),
    ],
)
def test_an_address_that_cannot_be_read_is_a_sentence(served, address, message):
    assert served
    with pytest.raises(UserError, match=message):
        read_checkpoint(address, progress=False)
