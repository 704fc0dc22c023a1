"""Read every annotated image of a config's sources, and list all that is wrong with them, before a training does.

    python tools/check_data.py configs/dataseg_r50_3ds.py
    python tools/check_data.py configs/dataseg_r50_3ds.py --workers 16 --limit 10000

A source's files and its annotation file are checked as a training checks them when it starts; then each image and each
annotation is loaded by the loading transforms of the source's pipeline. Exit code 1 if anything is wrong.
"""

import argparse
from collections.abc import Iterable, Sequence

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmdataseg.datasets.inspection import check_source, report
from mmdataseg.sources import Source, build_sources


def sources_of(config: Config) -> Iterable[tuple[str, Source]]:
    """(split, source) of the datasets that training, validation and testing would build, each once.

    Raises:
        ValueError: The config has none.
    """
    seen = set()
    for key, split in (("train_dataloader", "train"), ("val_dataloader", "test"), ("test_dataloader", "test")):
        dataset = (config.get(key) or {}).get("dataset", {})
        for source in build_sources(dataset["sources"]) if dataset.get("sources") else ():
            if (split, source.name) not in seen:
                seen.add((split, source.name))
                yield split, source
    if not seen:
        raise ValueError(f"'{config.filename}' has no data loader over sources; give one that can be trained or tested")


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", help="a config that mmdataseg trains or tests")
    parser.add_argument("--workers", type=int, default=2, help="processes that read (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="read only the first so many images of each source")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the sources of a config.

    Returns:
        0, or 1 if anything is wrong.
    """
    options = parse_args(arguments)
    config = Config.fromfile(options.config)
    init_default_scope(config.get("default_scope", "mmdet"))
    problems = 0
    for split, source in sources_of(config):
        found = check_source(source, split, options.workers, options.limit)
        problems += len(found.problems)
        print(report(source, split, found) + "\n", flush=True)
    print(f"{problems} problems" if problems else "nothing wrong")
    return int(problems > 0)


if __name__ == "__main__":
    raise SystemExit(main())
