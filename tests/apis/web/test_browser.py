"""The page in a real browser: upload, other tasks and words, clicks, downloads, a file that is too large."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser
pytest.importorskip("gradio", reason='gradio is not installed: pip install "gradio>=6.31,<7"')
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
expect = playwright.expect
PATIENCE = 60_000  # milliseconds


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium: the system's, or playwright's own."""
    system = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with playwright.sync_playwright() as started:
        try:
            opened = started.chromium.launch(executable_path=system, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium can be started: {error}")
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def server(world, tmp_path_factory):
    """Address of the page, its process, and the folder for temporary files."""
    temp = tmp_path_factory.mktemp("temp")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mmdataseg", "web", "trained.pth", "--device", "cpu"]
    env = os.environ | {"TMPDIR": str(temp), "PYTHONPATH": str(Path(__file__).parents[3])}
    log = tmp_path_factory.mktemp("log") / "log.txt"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--max-mib", "1"], cwd=world, env=env, stdout=file, stderr=file
        )
    until = time.monotonic() + 120
    while "the page: " not in log.read_text():
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            pytest.fail(f"the page does not start: {log.read_text()}")
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}/", process, temp
    process.kill()


@pytest.fixture
def page(browser, server):
    """The page with nothing on it yet; requests to other machines make the test fail."""
    url, _, _ = server
    opened = browser.new_page(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    foreign = []
    opened.on("request", lambda request: foreign.append(request.url) if is_foreign(request.url, url) else None)
    opened.goto(url)
    expect(opened.locator("#status")).to_contain_text("Drop an image", timeout=PATIENCE)
    yield opened
    opened.close()
    assert foreign == []


def is_foreign(address, url):
    return not address.startswith((url, "data:", "blob:"))


@pytest.fixture
def image(world):
    return min((world / "data/toy/toy_open/val").iterdir())


def drop(page, file, expected):
    page.set_input_files("#image input[type=file]", str(file))
    expect(page.locator("#status")).to_contain_text(expected, timeout=PATIENCE)


def words_in_table(page):
    return {
        cell.strip() for cell in page.get_by_role("gridcell").and_(page.locator("[data-col='1']")).all_inner_texts()
    }


def segment(page, expected):
    page.get_by_role("button", name="Segment", exact=True).click()
    expect(page.locator("#status")).to_contain_text(expected, timeout=PATIENCE)


def test_upload_then_other_words_then_another_task(page, image):
    drop(page, image, "semantic: ")
    before = words_in_table(page)
    assert before
    page.get_by_label("Things: words for countable objects").fill("red ring, purple star")
    page.get_by_label("Stuff: words for everything else").fill("dotted water")
    segment(page, "of ")
    expect(page.locator("#table")).to_contain_text(re.compile("red ring|purple star|dotted water"), timeout=PATIENCE)
    assert words_in_table(page) <= {"red ring", "purple star", "dotted water"}
    page.locator("#tasks").get_by_label("instance", exact=True).check()
    page.get_by_label("Minimum score of an instance").first.fill("0")
    segment(page, "semantic: ")
    expect(page.locator("#shown")).to_be_visible(timeout=PATIENCE)
    page.locator("#shown").get_by_label("instance", exact=True).check()
    expect(page.locator("#status")).to_contain_text("instance: ", timeout=PATIENCE)


def test_a_click_names_the_segment_and_a_row_too(page, image):
    drop(page, image, "semantic: ")
    page.locator("#picture img").click()
    expect(page.locator("#status")).to_contain_text(re.compile(r"Segment \d+: .+ pixels?, box"), timeout=PATIENCE)
    page.locator("#picture img").click()
    expect(page.locator("#status")).to_contain_text("semantic: ", timeout=PATIENCE)
    page.get_by_role("gridcell").nth(1).click()
    expect(page.locator("#status")).to_contain_text("Segment 1: ", timeout=PATIENCE)


def test_downloads(page, image, tmp_path):
    drop(page, image, "semantic: ")
    for button, suffix in (("Download JSON", ".json"), ("Download PNG", ".png")):
        with page.expect_download(timeout=PATIENCE) as download:
            page.get_by_text(button).click()
        assert download.value.suggested_filename.startswith(image.stem)
        file = tmp_path / f"file{suffix}"
        download.value.save_as(file)
        assert file.read_bytes()[:4] == {".json": b'{\n "', ".png": b"\x89PNG"}[suffix]


def test_mistakes_are_sentences_on_the_page(page, image, tmp_path):
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(image.read_bytes()[:100])
    drop(page, damaged, "cannot be read as an image")
    page.reload()
    segment(page, "There is no image yet; drop one")
    drop(page, image, "semantic: ")
    page.get_by_label("Things: words for countable objects").fill("dog, dog")
    segment(page, "The word 'dog' appears twice; give it once")
    assert words_in_table(page) <= {""}


def test_a_file_that_is_too_large_is_refused(page, tmp_path):
    large = tmp_path / "large.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (800, 800, 3), np.uint8)).save(large)
    page.set_input_files("#image input[type=file]", str(large))
    expect(page.get_by_text("exceed the maximum allowed size of 1.0 Mb")).to_be_visible(timeout=PATIENCE)


def test_the_server_refuses_a_large_file_whatever_the_browser_checks(server):
    url, _, _ = server
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        + bytes(2 << 20)
        + b"\r\n--x--\r\n"
    )
    request = Request(f"{url}gradio_api/upload", body, {"Content-Type": "multipart/form-data; boundary=x"})
    with pytest.raises(HTTPError) as refused:
        urlopen(request)
    assert refused.value.code == 413


def test_nothing_is_left_in_temp_when_it_is_stopped(server):
    """The last test: it stops the server."""
    _, process, temp = server
    assert list(temp.iterdir()), "uploads and downloads are here"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert list(temp.iterdir()) == []
