"""Write the predictions of many images to files, one image at a time, so that an interrupted run can continue."""

import csv
import errno
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mmdataseg.apis.images.inputs import ImageInput, Video
from mmdataseg.apis.predict.video import VideoFile
from mmdataseg.errors import UserError
from mmdataseg.formats.categories import make_categories
from mmdataseg.formats.coco_panoptic import id_to_rgb
from mmdataseg.formats.journal import Journal
from mmdataseg.formats.json_files import write_coco_json, write_list
from mmdataseg.formats.png import write_png
from mmdataseg.formats.whole_files import whole_file, write_whole
from mmdataseg.progress import counted
from mmdataseg.results import exchange
from mmdataseg.results.file_names import FileNames
from mmdataseg.results.result import Result
from mmdataseg.results.segments import Answer
from mmdataseg.structures import LabelSpace, Task

_PANOPTIC_THRESHOLD = "--cfg-options model.postprocessors.panoptic.score_threshold=X"
COCO_FILES = {Task.PANOPTIC: "panoptic.json", Task.SEMANTIC: "semantic.json", Task.INSTANCE: "instances.json"}
QUESTION, JOURNAL = "question.json", "journal.jsonl"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writing_into(folder: Path) -> Iterator[None]:
    """Turn an OSError of the system into a `UserError`. It names the folder if the system does not name the file."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        again = "make room, then run the same command again: it goes on where it stopped"
        raise UserError(
            f"cannot be written ({error.strerror or error})",
            file=error.filename or folder,
            remedy=again if error.errno in _FULL else "give another --out",
        ) from error


class PredictionFiles:
    """Writes predictions into a folder.

    =========  ==========================================================================================
    pictures   ``pictures/<name>.png``: the image and its segments side by side
    masks      ``masks/<name>/<task>_<id>_<word>.png``: 255 inside the segment, 0 outside
    coco       ``panoptic.json`` and ``panoptic/<name>.png``: COCO panoptic, category id = label + 1;
               ``semantic.json`` and ``semantic/<name>.png``: value = category id = label;
               ``instances.json``: COCO instances with RLE and ``score``, category id = label + 1
    json       ``results.json``: `Result.to_json` of each image
    csv        ``segments.csv``: the rows of `Result.rows`
    video      ``video/<name>.mp4``: the frames of a video with the segments of the first task
    =========  ==========================================================================================

    ``<name>`` is that of the image without its suffix. Of two images whose names differ in the suffix only, the second
    keeps it: ``a.jpg`` and ``a.png`` are ``a`` and ``a_png``.

    `mmdataseg.PanopticSegDataset`, `mmdataseg.SemanticSegDataset` and `mmdataseg.InstanceSegDataset` read what ``coco``
    writes, and so do other programs.

    An image is done once its line is in the journal. Its files are written before that line, so a killed run continues
    with the next image. `close` writes the JSON and CSV files from the journal.

    Args:
        folder: Output folder; see `open_folder`.
        save: Names from the table above.
        space: The vocabulary.
    """

    def __init__(self, *, folder: Path, save: Sequence[str], space: LabelSpace) -> None:
        self.folder = folder
        self.save = tuple(save)
        self.space = space
        self._journal = Journal(folder / JOURNAL)
        self._file_names = FileNames()
        self._open = ExitStack()
        self._found: dict[str, Counter[str]] = {}  # task -> counts
        self._video: VideoFile | None = None
        if "video" in save:
            self._journal.remove()  # a video cannot be continued: it starts again from its first frame

    def open(self) -> set[str]:
        """Start writing, and return the names of the images that an earlier run finished.

        Raises:
            UserError: A file cannot be written.
        """
        done = set()
        with writing_into(self.folder):
            self._journal.repair()
            for record in self._journal.records():
                done.add(record["name"])
                self._file_names(record["name"])
                self._count(record["found"])
            self._open.enter_context(self._journal)
        return done

    def add(self, found: ImageInput, result: Result) -> None:
        """Write the files of an image, then its line in the journal.

        Raises:
            UserError: A file cannot be written.
        """
        name, answers = self._file_names(found.name), result.answers.values()
        record: dict[str, Any] = {"name": found.name, "height": result.size[0], "width": result.size[1]}
        with writing_into(self.folder):
            if "pictures" in self.save:
                write_png(self.folder / "pictures" / f"{name}.png", result.sheet())
            if "masks" in self.save:
                for answer in answers:
                    self._write_masks(name, answer)
            if "coco" in self.save:
                record["coco"] = {answer.task.value: self._coco(f"{name}.png", answer) for answer in answers}
            if "json" in self.save:
                record["json"] = result.to_json()
            if "csv" in self.save:
                record["csv"] = result.rows()
            if "video" in self.save and found.video is not None:
                self._write_frame(found.video, result.plot(task=result.tasks[0]))
            record["found"] = {a.task.value: Counter(segment.name for segment in a.segments) for a in answers}
            self._journal.append(record)
        self._count(record["found"])

    def close(self) -> list[Path]:
        """Write the files that cover all images so far.

        Returns:
            The paths of all output files and folders; empty if there is no image yet.

        Raises:
            UserError: A file cannot be written.
        """
        with writing_into(self.folder):
            self._open.close()
            self._end_video()
            first = next(self._journal.records(), None)
            if first is None:
                return []
            written = [self.folder / name for name in ("pictures", "masks", "video") if name in self.save]
            for task in map(Task, first.get("coco", ())):
                written.append(self.folder / COCO_FILES[task])
                self._write_coco(written[-1], task)
            if "json" in self.save:
                written.append(self.folder / "results.json")
                with whole_file(written[-1]) as file:
                    write_list(file, (record["json"] for record in self._journal.records()))
            if "csv" in self.save:
                written.append(self.folder / "segments.csv")
                with whole_file(written[-1]) as file:
                    table = csv.DictWriter(file, exchange.COLUMNS)
                    table.writeheader()
                    table.writerows(row for record in self._journal.records() for row in record["csv"])
            return written

    def summary(self) -> str:
        """Return one line per task: how many segments each word has; for the semantic task, how many images.

        Another line names images whose files keep the suffix of the image.
        """
        lines = []
        for task, found in self._found.items():
            lower = "lower --min-score" if task == "instance" else f"lower the threshold ({_PANOPTIC_THRESHOLD})"
            listed = ", ".join(f"{word} {number}" for word, number in found.most_common())
            lines.append(f"found ({task}): {listed or f'nothing; if that is wrong, {lower}, or train for longer'}")
        if self._file_names.lengthened:
            longer = [f"{name}.png" for name in self._file_names.lengthened.values()]
            whose = "its" if len(longer) == 1 else "their"
            lines.append(
                f"{counted(len(longer), 'image has', 'images have')} the name of another one, with another suffix; "
                f"{whose} files keep it: {', '.join(longer[:3])}{' ...' * (len(longer) > 3)}"
            )
        return "\n".join(lines)

    def _count(self, found: Mapping[str, Mapping[str, int]]) -> None:
        for task, words in found.items():
            self._found.setdefault(task, Counter()).update(words)

    # ---- files of one image

    def _write_masks(self, name: str, answer: Answer) -> None:
        folder = self.folder / "masks" / name
        for segment in answer.segments:
            word = "".join(letter if letter.isalnum() else "-" for letter in segment.name)[:60]
            write_png(folder / f"{answer.task.value}_{segment.id:03}_{word}.png", segment.mask.astype(np.uint8) * 255)

    def _coco(self, png: str, answer: Answer) -> list[dict[str, Any]]:
        path = self.folder / answer.task.value / png
        if answer.task is Task.SEMANTIC:
            labels = answer.prediction.pred_sem_seg.sem_seg[0].numpy()
            write_png(path, labels.astype(np.uint8 if len(self.space) <= 255 else np.uint16))
            return []
        if answer.task is Task.PANOPTIC:
            write_png(path, id_to_rgb(answer.id_map))
        return exchange.coco_annotations(png, answer, image_id=0)

    def _write_frame(self, video: Video, picture: np.ndarray) -> None:
        if self._video is not None and self._video.video is not video:
            self._end_video()
        if self._video is None:
            path = self.folder / "video" / f"{video.name}.mp4"
            self._video = VideoFile(video, path, (picture.shape[0], picture.shape[1]))
        self._video.write(picture)

    def _end_video(self) -> None:
        video, self._video = self._video, None
        if video is not None:
            video.close()

    # ---- files of all images

    def _write_coco(self, path: Path, task: Task) -> None:
        first = 0 if task is Task.SEMANTIC else 1
        images = (
            {"id": number, "file_name": record["name"], "height": record["height"], "width": record["width"]}
            for number, record in enumerate(self._journal.records(), 1)
        )
        write_coco_json(
            path,
            images=images,
            annotations=None if task is Task.SEMANTIC else self._annotations(task),
            categories=make_categories(self.space, range(first, first + len(self.space))),
        )

    def _annotations(self, task: Task) -> Iterator[dict[str, Any]]:
        number = 0
        for image_id, record in enumerate(self._journal.records(), 1):
            for annotation in record["coco"][task.value]:
                number += 1
                own = {"id": number} if task is Task.INSTANCE else {}
                yield {**annotation, **own, "image_id": image_id}


def open_folder(folder: Path, question: Mapping[str, Any]) -> None:
    """Create the output folder of predictions, or reuse one from a run with the same settings.

    Args:
        folder: Output folder.
        question: All settings that decide what is written, as JSON values.

    Raises:
        UserError: The folder holds other files, or predictions with other settings; the message says what differs. Or
            the folder cannot be created.
    """
    file = folder / QUESTION
    wanted = json.loads(json.dumps(question))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not file.is_file():
            raise UserError(f"'{folder}' exists and is not empty", remedy="give another --out, or move the folder away")
        earlier = json.loads(file.read_text())
        differing = sorted(key for key in {*wanted, *earlier} if wanted.get(key) != earlier.get(key))
        if differing:
            changes = "; ".join(f"{key} was {earlier.get(key)!r}, now {wanted.get(key)!r}" for key in differing)
            raise UserError(f"'{folder}' holds predictions with other settings: {changes}", remedy="give another --out")
        return
    with writing_into(folder):
        write_whole(file, json.dumps(wanted, indent=1))
