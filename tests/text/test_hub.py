"""Whether weights on the hub can be had is known after one attempt."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import open_clip
import pytest

from mmdataseg.text.hub import why_unavailable
from mmdataseg.text.open_clip import OpenClipEncoder

REPO = "timm/vit_large_patch14_clip_224.openai"


class Refusing(BaseHTTPRequestHandler):
    """Answers each request with 404, and counts them."""

    requests = 0

    def do_HEAD(self) -> None:
        type(self).requests += 1
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    """A hub on this machine, and an empty cache."""
    found = HTTPServer(("127.0.0.1", 0), Refusing)
    address = f"http://127.0.0.1:{found.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    Refusing.requests = 0
    Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def stop(server: HTTPServer) -> None:
    server.shutdown()
    server.server_close()


def cache(folder: Path, name: str) -> None:
    """Put a file of the repository into the hub's cache."""
    repo = folder / f"models--{REPO.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs/main").write_text("0" * 40)
    (repo / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (repo / "snapshots" / ("0" * 40) / name).write_text("")


@pytest.mark.usefixtures("server")
def test_a_hub_that_answers_is_asked_once() -> None:
    assert why_unavailable(REPO) is None
    assert Refusing.requests == 1


def test_without_a_hub_the_reason_is_given(server: HTTPServer) -> None:
    stop(server)
    assert "Connect" in (why_unavailable(REPO) or "")


def test_weights_in_the_cache_need_no_hub(server: HTTPServer, tmp_path: Path) -> None:
    stop(server)
    cache(tmp_path, "open_clip_model.safetensors")
    assert why_unavailable(REPO) is None


def test_a_cache_without_weights_is_not_enough(server: HTTPServer, tmp_path: Path) -> None:
    stop(server)
    cache(tmp_path, "open_clip_config.json")
    assert why_unavailable(REPO) is not None


def test_the_encoder_asks_before_open_clip_retries(server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    stop(server)
    monkeypatch.setattr(open_clip, "create_model", lambda *_, **__: pytest.fail("open_clip retries for a minute"))
    with pytest.raises(FileNotFoundError, match=r"cannot be downloaded \(.*Connect.*\); .* --pretrained PATH"):
        OpenClipEncoder()(["dog"])
