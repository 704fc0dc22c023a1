"""The arguments of ``web``, without ``--cfg-options``, which needs mmengine."""

from argparse import ArgumentParser

from mmdataseg.apis.parser import Parser

PORT = 7860


def build_web_parser(prog: str | None = None) -> ArgumentParser:
    """Build the parser of ``web``."""
    parser = Parser(
        prog=prog,
        description="Open a page in the browser: drop an image, type words, see what the model finds",
        usage="%(prog)s CHECKPOINT [options]",
    )
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", help="path or address of a checkpoint from training or convert"
    )
    parser.add_argument("--config", metavar="NAME", help="path or name of a config (default: that in the checkpoint)")
    parser.add_argument("--source", help="source of the model whose test pipeline to use (default: the first with one)")
    parser.add_argument("--device", help="default: a GPU if there is one")
    parser.add_argument("--pretrained", metavar="PATH", help="weights of the text encoder, if not in open_clip's cache")
    parser.add_argument(
        "--trust-checkpoint", action="store_true", help="run code stored in the checkpoint; only for your own files"
    )
    serving = parser.add_argument_group("where to serve")
    serving.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s, only this machine; 0.0.0.0: everyone who can reach it)",
    )
    serving.add_argument("--port", type=int, default=PORT, help="default: %(default)s")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-mib", type=int, default=20, help="largest image file, in MiB (default: %(default)s)")
    limits.add_argument(
        "--max-pixels", type=int, default=50_000_000, help="refuse larger images (default: %(default)s)"
    )
    limits.add_argument(
        "--max-words", type=int, default=100, help="most class names per request (default: %(default)s)"
    )
    limits.add_argument(
        "--max-seconds", type=int, default=120, help="longest time for a request, in seconds (default: %(default)s)"
    )
    return parser
