"""What the command ``predict`` does."""

from argparse import Namespace
from pathlib import Path

from mmdataseg.apis.inferencer import Inferencer
from mmdataseg.apis.prediction_files import PredictionFiles, find_images, require_empty
from mmdataseg.apis.run_config import read_config
from mmdataseg.progress import progress_bar


def predict(args: Namespace, config: Path) -> list[str]:
    """Segment images and write what was found. Interrupted, the files of the images so far are complete.

    Args:
        args: Of `mmdataseg.apis.cli.build_predict_parser`.
        config: Path of the config.

    Returns:
        A message for each image that could not be read.

    Raises:
        ValueError: What `read_config`, `find_images`, `Inferencer` and its `question` raise.
        OSError: Likewise, and `require_empty`.
    """
    images = find_images(args.images)
    if not 0 <= args.min_score <= 1:
        raise ValueError(f"--min-score: expected 0 .. 1, got {args.min_score}")
    require_empty(Path(args.out))
    inferencer = Inferencer(
        read_config(config, args.cfg_options), args.checkpoint, source=args.source, device=args.device
    )
    question = inferencer.question(
        task=args.task, things=args.things, stuff=args.stuff, embeddings=args.embeddings, pretrained=args.pretrained
    )
    files = PredictionFiles(Path(args.out), question.source, min_score=args.min_score)
    space = question.source.label_space
    print(
        f"{question.source.task.value} segmentation of {len(images)} images on {inferencer.device}, {len(space)} "
        f"classes of '{space.name}'; images prepared as those of source '{inferencer.source.name}'"
    )
    unreadable = []
    try:
        for name, path in progress_bar(images.items(), unit="images"):
            try:
                sample = inferencer(path, question)
            except OSError as error:
                unreadable.append(str(error))
                continue
            files.add(name, path, sample)
    finally:
        print(files.summary())
        print(f"{files.close()}, and pictures in {files.folder / 'pictures'}")
    return unreadable
