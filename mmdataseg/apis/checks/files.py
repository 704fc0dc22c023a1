"""Check that the data and text embeddings of this package's sources exist."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmdataseg.apis.checks.finding import Finding
from mmdataseg.apis.config.files import config_root
from mmdataseg.errors import MissingFileError, UserError
from mmdataseg.sources import Source


def own_sources() -> dict[str, dict[str, Any]]:
    """Return the sources in ``configs/_base_/sources``, name -> config."""
    from mmengine.config import Config

    files = sorted((config_root() / "_base_/sources").glob("*.py"))
    return {file.stem: Config.fromfile(file).to_dict()[file.stem] for file in files}


def check_data() -> Iterator[Finding]:
    """Check that the folders and files of each source exist, without reading them."""
    for name, source in own_sources().items():
        datasets = [source[split] for split in ("train", "test") if source.get(split)]
        wanted = [path for dataset in datasets for path in paths_of(dataset)]
        absent = [path for path in wanted if not path.exists()]
        if not absent:
            roots = {str(dataset["data_root"]) for dataset in datasets if dataset.get("data_root")}
            yield Finding(name, "ok", f"in {', '.join(sorted(roots))}")
            continue
        some = "" if len(absent) == len(wanted) else f", and {len(wanted) - len(absent)} of {len(wanted)} paths are"
        text = f"{absent[0]} is not there{some}"
        yield Finding(name, "missing", text, "docs/datasets.md says how to get it")


def check_embeddings() -> Iterator[Finding]:
    """Check that the text embeddings of each source exist, can be read, and match the classes of the source."""
    from mmdataseg.text.embeddings import load_embeddings

    seen = set()
    for name, config in own_sources().items():
        file = config.get("embeddings")
        if file is None or file in seen:
            continue
        seen.add(file)
        try:
            found = load_embeddings(file, label_space=Source.from_config(config).label_space, source=name)
        except MissingFileError:
            yield Finding(file, "missing", "is not there", "docs/text_embeddings.md says how to make it")
        except UserError as error:
            yield Finding(file, "broken", error.message, error.remedy or "make it again, with --force")
        else:
            text = f"{len(found.classes)} classes, {found.dim} dimensions, {found.encoder}"
            yield Finding(file, "ok", text)


def paths_of(dataset: Mapping[str, Any]) -> list[Path]:
    """Return the paths of the folders and files in the config of a dataset, joined to its ``data_root``.

    The dataset may be of this package, mmdet or mmseg.
    """
    root = Path(dataset.get("data_root") or "")
    named = [value for key, value in dataset.items() if key.endswith(("_dir", "_file")) and key != "cache_dir"]
    named += list((dataset.get("data_prefix") or {}).values())
    flat = [path for value in named for path in (value if isinstance(value, list | tuple) else [value])]
    return [root / path for path in flat if isinstance(path, str) and path]
