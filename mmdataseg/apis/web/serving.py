"""The command ``web``: serve the page."""

import os
import socket
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any

from mmdataseg.apis.segmenter import Segmenter
from mmdataseg.apis.stopping import sigterm_as_exit
from mmdataseg.apis.web.asking import Limits, Questions
from mmdataseg.dependencies import OPTIONAL
from mmdataseg.errors import UserError

_LOCAL = ("127.0.0.1", "localhost", "::1")


def check_gradio() -> None:
    """Raise a `UserError` with the command that installs gradio, if it is not installed."""
    if find_spec("gradio") is None:
        requirement, _ = OPTIONAL["gradio"]
        raise UserError("the page needs gradio, which is not installed", remedy=f'pip install "{requirement}"')


def serve(
    checkpoint: str | PathLike[str],
    *,
    config: str | PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
    source: str | None = None,
    device: str | None = None,
    trust_checkpoint: bool = False,
    pretrained: str | None = None,
    host: str = "127.0.0.1",
    port: int = 7860,
    limits: Limits | None = None,
) -> None:
    """Serve the page until the user stops it. Then delete all uploads and downloads.

    The arguments are those of the command, ``python -m mmdataseg web -h``.

    Raises:
        UserError: gradio is not installed; the port cannot be used; as `Segmenter`.
    """
    check_gradio()
    _check_port(host, port)
    segmenter = Segmenter(
        checkpoint, config=config, options=options, source=source, device=device, trust=trust_checkpoint
    )
    questions = Questions(segmenter, limits=limits or Limits(), pretrained=pretrained)
    with tempfile.TemporaryDirectory(prefix="mmdataseg_web_") as folder, sigterm_as_exit():
        # gradio reads these when it is imported: the folder of its files, and no usage statistics
        os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False"}
        from mmdataseg.apis.web.page import CSS, Downloads, build_page, theme

        downloads = Path(folder, "downloads")
        downloads.mkdir()
        page = build_page(questions, Downloads(downloads))
        try:
            page.launch(
                server_name=host,
                server_port=port,
                max_file_size=questions.limits.mib << 20,
                state_session_capacity=16,
                prevent_thread_lock=True,
                quiet=True,
                footer_links=[],
                run_history=False,
                share=False,
                ssr_mode=False,
                mcp_server=False,
                pwa=False,
                enable_monitoring=False,
                css=CSS,
                theme=theme(),
            )
            if host not in _LOCAL:
                print(f"warning: everyone who can reach this machine on port {port} can use the page")
            print(f"the page: {page.local_url} (Ctrl-C stops it)", flush=True)
            page.block_thread()
        finally:
            questions.close()
            page.close(verbose=False)


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise UserError(
                f"cannot listen on {host}, port {port}: {error}", remedy="give another --port or --host"
            ) from None
