"""What the command ``predict`` does."""

import signal
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmdataseg.apis.inferencer import Inferencer, Question
from mmdataseg.apis.prediction_files import PredictionFiles, find_images, make_empty
from mmdataseg.apis.run_config import read_config
from mmdataseg.progress import progress_bar
from mmdataseg.structures import Task


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """All that a command line asks for, checked and loaded.

    Args:
        images: Name -> path, from `find_images`.
        inferencer: The model.
        question: What to look for.
        files: Where to write.
    """

    images: Mapping[str, Path]
    inferencer: Inferencer
    question: Question
    files: PredictionFiles

    @classmethod
    def of(cls, args: Namespace, config: Path) -> "Prediction":
        """Check the arguments and load the model.

        Args:
            args: Of `mmdataseg.apis.cli.build_predict_parser`.
            config: Path of the config.

        Returns:
            What can be run.

        Raises:
            ValueError: What `read_config`, `find_images`, `Inferencer` and its `question` raise.
            OSError: Likewise, and `make_empty`.
        """
        images = find_images(args.images)
        if not 0 <= args.min_score <= 1:
            raise ValueError(f"--min-score: expected 0 .. 1, got {args.min_score}")
        inferencer = Inferencer(
            read_config(config, args.cfg_options), args.checkpoint, source=args.source, device=args.device
        )
        question = inferencer.question(
            task=args.task, things=args.things, stuff=args.stuff, embeddings=args.embeddings, pretrained=args.pretrained
        )
        make_empty(Path(args.out))
        files = PredictionFiles(folder=Path(args.out), source=question.source, min_score=args.min_score)
        return cls(images=images, inferencer=inferencer, question=question, files=files)

    def run(self) -> list[str]:
        """Segment the images and write what was found. Stopped, the files of the images so far are complete.

        Returns:
            A message for each image that could not be read.

        Raises:
            OSError: A file cannot be written.
        """
        task, space = self.question.source.task, self.question.source.label_space
        wanted = space.thing_classes if task is Task.INSTANCE else space.classes
        print(
            f"{task.value} segmentation of {len(self.images)} images on {self.inferencer.device}, {len(wanted)} "
            f"classes of '{space.name}'; images prepared as those of source '{self.inferencer.source.name}'"
        )
        if len(wanted) < len(space) and space != self.inferencer.source.label_space:
            print(f"instances are of things; not looked for: {', '.join(space.stuff_classes)}")
        if task is Task.SEMANTIC:
            print("every pixel gets one of these classes, whatever it shows; the panoptic task leaves out what is none")
        unreadable = []
        with _stopped_as_by_hand():
            try:
                for name, path in progress_bar(self.images.items(), unit="images"):
                    try:
                        sample = self.inferencer(path, self.question)
                    except OSError as error:
                        unreadable.append(str(error))
                        continue
                    self.files.add(name, path, sample)
            finally:
                print(self.files.summary())
                written = self.files.close()
                if written is not None:
                    print(f"{written}, and pictures in {self.files.folder / 'pictures'}")
        return unreadable


@contextmanager
def _stopped_as_by_hand() -> Iterator[None]:
    """SIGTERM, with which schedulers stop a job, ends the process as Ctrl-C does: what is open is written."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
