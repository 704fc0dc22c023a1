"""Read every annotated image of a config's sources before a training, and list all errors.

    python tools/check_data.py configs/dataseg_r50_3ds.py
    python tools/check_data.py configs/dataseg_r50_3ds.py --workers 16 --limit 10000
    python tools/check_data.py configs/dataseg_r50_3ds.py --pictures pictures

Text embeddings are checked against the label spaces and the model, crops with each other, metrics against their files.
A source's files and its annotation file are checked as a training checks them when it starts; then each image and each
annotation is loaded by the loading transforms of the source's pipeline. Transforms that follow PackInputs, such as
those of a kind of supervision of your own, run, too. Those between, which scale, crop and flip, do not.

Lines with '!' are errors; the exit code is then 1. Lines with '?' need a look: images that are in training and test,
or have several names (by content), images with an EXIF orientation, repeated annotation ids, and flags of things and
stuff that look swapped.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import mmcv
import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmdataseg.apis.config.data_roots import check_data_root
from mmdataseg.apis.config.reading import read_config
from mmdataseg.apis.parsers import Parser
from mmdataseg.datasets.findings import Findings
from mmdataseg.datasets.inspection import check_source, loading_transforms, report
from mmdataseg.datasets.multi_source import MultiSourceDataset
from mmdataseg.datasets.suspicions import shared_images
from mmdataseg.datasets.transforms.packing import PackInputs
from mmdataseg.errors import MissingFileError, UserError
from mmdataseg.evaluation import MultiSourceEvaluator
from mmdataseg.progress import counted
from mmdataseg.sources import Source, build_sources
from mmdataseg.text.embeddings import encoder_mismatch, load_embeddings
from mmdataseg.visualization.drawing import panel_size, resize, side_by_side
from mmdataseg.visualization.segments import draw_true


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
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="a config that mmdataseg trains or tests")
    parser.add_argument("--workers", type=int, default=2, help="processes that read (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="read only the first LIMIT images of each source")
    parser.add_argument("--pictures", type=Path, help="draw annotations with their class names into this folder")
    options = parser.parse_args(arguments)
    for name in ("workers", "limit"):
        if getattr(options, name) is not None and getattr(options, name) < (name == "limit"):
            parser.error(f"--{name} must be at least {int(name == 'limit')}")
    return options


def mix_problems(config: Config) -> Iterator[str]:
    """What does not fit together among the sources of a config's data, its model and its ratios."""
    known = [source["name"] for source in config.get("model", {}).get("sources", ())]
    for split, source in sources_of(config):
        if known and source.name not in known:
            yield f"source {source.name!r} ({split}): not among model.sources {known}; name it there, too"
    loader = config.get("train_dataloader") or {}
    ratios = (loader.get("batch_sampler") or {}).get("ratios")
    sources = loader.get("dataset", {}).get("sources", ())
    if ratios is not None and len(ratios) != len(sources):
        yield f"train_dataloader.batch_sampler: {len(ratios)} ratios for {len(sources)} sources; give one for each"


def crop_problems(config: Config) -> Iterator[str]:
    """Crops of which one is twice as large as another: things would look twice as large to the network, too.

    Args:
        config: Of the training.

    Yields:
        The one problem, with the size of each source's crops.
    """
    sides: dict[str, int] = {}
    for split, source in sources_of(config):
        for step in (source.train or {}).get("pipeline", ()) if split == "train" else ():
            size = step.get("size", step.get("crop_size"))
            relative = str(step.get("crop_type", "")).startswith("relative")
            if str(step["type"]).endswith("RandomCrop") and size is not None and not relative:
                sides[source.name] = max(size) if isinstance(size, list | tuple) else size
    if sides and max(sides.values()) >= 2 * min(sides.values()):
        yield f"crops of different scales, {sides} pixels; give the sources of a model crops of about one size"


def metric_problems(config: Config) -> list[str]:
    """What keeps the metrics of a config's sources from being built.

    Args:
        config: With evaluators of ours, or others, which are passed over.

    Returns:
        Each problem once.
    """
    found = []
    for key in ("val_evaluator", "test_evaluator"):
        evaluator = config.get(key)
        if not isinstance(evaluator, Mapping) or evaluator.get("type") != "mmdataseg.MultiSourceEvaluator":
            continue
        for source in evaluator["metrics"]:
            try:
                MultiSourceEvaluator(metrics=[source])
            except UserError as error:
                found.append(str(error))
    return list(dict.fromkeys(found))  # validation and test mostly have the same sources


def embedding_problems(config: Config) -> Iterator[str]:
    """What is wrong with the text embeddings of a config's sources, if its model reads any."""
    model = config.get("model", {})
    classifier = model.get("classifier", {})
    if classifier.get("type") != "mmdataseg.TextClassifier":
        return
    encoders: dict[str, str] = {}
    for source in build_sources(model.sources):
        try:
            if source.embeddings is None:
                raise ValueError(
                    f"source {source.name!r}: embeddings is not set; name the file that tools/text_embeddings.py wrote"
                )
            text = load_embeddings(
                source.embeddings, label_space=source.label_space, source=source.name, dim=classifier.get("embed_dim")
            )
        except (OSError, ValueError) as error:
            yield str(error)
            continue
        encoders[source.name] = text.encoder
    mismatch = encoder_mismatch(encoders)
    if mismatch is not None:
        yield mismatch


def write_pictures(source: Source, split: str, folder: Path, count: int = 4) -> int:
    """Draw annotations with their class names: whether the values mean these classes, no check can know.

    Args:
        source: The source.
        split: ``train`` or ``test``.
        folder: Of the pictures; made if missing.
        count: How many images, spread over the split.

    Returns:
        Number of pictures; images that cannot be read have none.
    """
    try:
        dataset = MultiSourceDataset(sources=[source], split=split)
    except (UserError, OSError):
        return 0
    steps = [*loading_transforms(dataset), PackInputs()]
    written = 0
    for index in sorted({round(place) for place in np.linspace(0, len(dataset) - 1, count)}):
        results = dataset.get_data_info(index)
        try:
            for step in steps[:-1]:
                results = step(results)
            sample = steps[-1](results)["data_samples"]
        except (UserError, OSError):
            continue
        image = results["img"][..., ::-1]
        size = panel_size(*image.shape[:2])
        drawn = draw_true(image, sample, source, size=size)
        title = Path(results["img_path"]).name
        folder.mkdir(parents=True, exist_ok=True)
        picture = side_by_side([(title, resize(image, size)), (f"{source.task.value} annotation", drawn)])
        mmcv.imwrite(picture[..., ::-1], str(folder / f"{source.name}_{split}_{index}.png"))
        written += 1
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the sources of a config.

    Returns:
        0, or 1 if anything is wrong.

    Raises:
        SystemExit: The user's mistake in command line or config, said on stderr.
    """
    options = parse_args(arguments)
    try:
        config = read_config(options.config)
        sources = list(sources_of(config))
    except (OSError, ValueError, TypeError) as error:
        sys.exit(f"error: {error}")
    init_default_scope(config.get("default_scope", "mmdet"))
    problems = 0
    for problem in [
        *mix_problems(config),
        *crop_problems(config),
        *embedding_problems(config),
        *metric_problems(config),
    ]:
        problems += 1
        print(f"! {problem}", flush=True)
    notes = 0
    trained: list[tuple[str, Findings]] = []
    for split, source in sources:
        try:
            check_data_root(source, split, filename=config.filename)
            found = check_source(source, split, options.workers, options.limit)
        except MissingFileError as error:
            found = Findings(problems=[str(error)])
        if split == "train":
            trained.append((source.name, found))
        for name, other in trained if split == "test" else ():
            shared = shared_images(other, found)
            if shared is not None:
                found.notes.append(f"source {source.name!r}: {shared} of source {name!r}")
        problems += len(found.problems)
        notes += len(found.notes)
        print(report(source, split, found), flush=True)
        if options.pictures is not None:
            count = write_pictures(source, split, options.pictures)
            print(f"{counted(count, 'picture')} of annotations in {options.pictures}: are the names right?")
        print()
    if notes:
        print(f"{counted(notes, 'line')} with '?' to look at")
    print("in all: " + (counted(problems, "problem") if problems else "no problem"))
    return int(problems > 0)


if __name__ == "__main__":
    raise SystemExit(main())
