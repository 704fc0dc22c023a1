"""The arguments of ``web``, without ``--cfg-options``, which needs mmengine."""

from argparse import ArgumentParser

PORT = 7860


def build_web_parser(prog: str | None = None) -> ArgumentParser:
    """Arguments of the page."""
    parser = ArgumentParser(
        prog=prog,
        description="Open a page in the browser: drop an image, type words, see what the model finds",
        allow_abbrev=False,
    )
    parser.add_argument("checkpoint", help="path or address of what a training or convert wrote")
    parser.add_argument("--config", metavar="NAME", help="path or name of a config (default: that in the checkpoint)")
    parser.add_argument("--source", help="of the model: whose images these are like (default: the first tested)")
    parser.add_argument("--device", help="default: a GPU if there is one")
    parser.add_argument("--pretrained", metavar="PATH", help="weights of the text encoder, if not in open_clip's cache")
    parser.add_argument(
        "--trust-checkpoint", action="store_true", help="run the code that a checkpoint holds: for files of your own"
    )
    serving = parser.add_argument_group("where to serve")
    serving.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s, this machine alone; 0.0.0.0: all who can reach it)",
    )
    serving.add_argument("--port", type=int, default=PORT, help="default: %(default)s")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-mib", type=int, default=20, help="size of an image file, in MiB (default: %(default)s)")
    limits.add_argument(
        "--max-pixels", type=int, default=50_000_000, help="larger images are refused (default: %(default)s)"
    )
    limits.add_argument("--max-words", type=int, default=100, help="words in all (default: %(default)s)")
    limits.add_argument(
        "--max-seconds", type=int, default=120, help="how long an answer may take (default: %(default)s)"
    )
    return parser
