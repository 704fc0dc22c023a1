"""The toy world on disk: its sets, the places of their files, and how an interrupted run continues.

toy_semantic/images/{training,validation}/*.jpg          as ADE20K (SceneParsing)
toy_semantic/annotations/{training,validation}/*.png
toy_semantic/annotations/panoptic_validation{.json,/}    the validation images as panoptic segments, to score
toy_panoptic/{train,val}/*.jpg                           as COCO panoptic
toy_panoptic/annotations/panoptic_{train,val}{.json,/}
toy_boxes/{train,val}/*.jpg                              as Objects365: boxes only
toy_boxes/annotations/boxes_{train,val}.json
toy_boxes/true_masks/instances_val.json                  the masks that no training sees: for scoring
toy_open/val/*.jpg                                       the hold-out, as COCO panoptic
toy_open/annotations/panoptic_val{.json,/}
toy.json                                                 the arguments, and which sets are finished
"""

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmdataseg.formats.coco_panoptic import write_panoptic_png
from mmdataseg.formats.journal import Journal
from mmdataseg.formats.json_files import write_coco_json
from mmdataseg.formats.whole_files import write_whole
from projects.toy.world.formats import categories, instance_annotations, scene_segments, semantic_map
from projects.toy.world.scenes import Scene, draw_scene
from projects.toy.world.vocabulary import TOY_BOXES, TOY_OPEN, TOY_PANOPTIC, TOY_SEMANTIC, TOY_SOURCES, ToySource

WORLD_VERSION = 1
# With 800 images per source, the toy model memorised its training images. The semantic source is small on purpose.
DEFAULT_TRAIN_IMAGES = (120, 3000, 3000)
DEFAULT_VAL_IMAGES = 80
_JPEG_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]
_JSON = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ToySet:
    """The images of one source and split, and the forms in which they are annotated.

    Args:
        source: The source of the scenes.
        split: ``train`` or ``val``.
        count: Number of images.
        img_dir: Folder of the images, under that of the source.
        semantic_dir: Folder of label maps; None: none are written.
        panoptic: Stem of the panoptic JSON and folder of its PNG files; None: none are written.
        boxes: JSON of boxes; None: none is written.
        masks: JSON of true masks; None: none is written.
    """

    source: ToySource
    split: str
    count: int
    img_dir: str
    semantic_dir: str | None = None
    panoptic: str | None = None
    boxes: str | None = None
    masks: str | None = None

    @property
    def name(self) -> str:
        """E.g. ``toy_boxes/val``."""
        return f"{self.source.name}/{self.split}"


def plan_world(train_images: Sequence[int], val_images: int) -> tuple[ToySet, ...]:
    """The sets of a world.

    Args:
        train_images: Number of training images of toy_semantic, toy_panoptic and toy_boxes.
        val_images: Number of images of each validation set, and of the hold-out.
    """
    if len(train_images) != 3 or min(*train_images, val_images) < 1:
        raise ValueError(
            "toy world: expected three numbers of training images (toy_semantic, toy_panoptic, toy_boxes) "
            "and one of validation images, each at least 1; "
            f"got {list(train_images)} and {val_images}"
        )
    semantic, panoptic, boxes = train_images
    return (
        ToySet(
            source=TOY_SEMANTIC,
            split="train",
            count=semantic,
            img_dir="images/training",
            semantic_dir="annotations/training",
        ),
        ToySet(
            source=TOY_SEMANTIC,
            split="val",
            count=val_images,
            img_dir="images/validation",
            semantic_dir="annotations/validation",
            panoptic="annotations/panoptic_validation",
        ),
        ToySet(
            source=TOY_PANOPTIC, split="train", count=panoptic, img_dir="train", panoptic="annotations/panoptic_train"
        ),
        ToySet(source=TOY_PANOPTIC, split="val", count=val_images, img_dir="val", panoptic="annotations/panoptic_val"),
        ToySet(source=TOY_BOXES, split="train", count=boxes, img_dir="train", boxes="annotations/boxes_train.json"),
        ToySet(
            source=TOY_BOXES,
            split="val",
            count=val_images,
            img_dir="val",
            boxes="annotations/boxes_val.json",
            masks="true_masks/instances_val.json",
        ),
        ToySet(source=TOY_OPEN, split="val", count=val_images, img_dir="val", panoptic="annotations/panoptic_val"),
    )


def make_world(
    out: str | Path,
    *,
    seed: int = 0,
    size: int = 128,
    train_images: Sequence[int] = DEFAULT_TRAIN_IMAGES,
    val_images: int = DEFAULT_VAL_IMAGES,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the toy world, or the missing part of it.

    A world with fewer images, otherwise the same, grows: its images are the first ones of the larger world.

    Args:
        out: Folder; made if it is not there.
        seed: Seed of every draw.
        size: Height and width of the images in pixels.
        train_images: Number of training images of toy_semantic, toy_panoptic and toy_boxes.
        val_images: Number of images of each validation set, and of the hold-out.
        progress: Called after each image, with the number of finished images and the total.

    Returns:
        The number of images that were drawn; 0 if the world was complete already.

    Raises:
        ValueError: The folder holds a larger or another world or other files, or a number is out of range.
    """
    out = Path(out)
    sets = plan_world(train_images, val_images)
    draw_scene(TOY_OPEN, "val", 0, seed=seed, size=size)  # raises for bad numbers before anything is written
    world = {
        "version": WORLD_VERSION,
        "vocabulary": zlib.crc32(repr(TOY_SOURCES).encode()),
        "seed": seed,
        "size": size,
        "train_images": list(train_images),
        "val_images": val_images,
    }
    finished = _read_state(out, world)
    total = sum(s.count for s in sets)
    there = sum(s.count for s in sets if s.name in finished)
    drawn = 0
    for toy_set in sets:
        if toy_set.name in finished:
            continue
        for was_drawn in _write_set(out / toy_set.source.name, toy_set, seed=seed, size=size):
            drawn += was_drawn
            there += 1
            if progress:
                progress(there, total)
        finished.append(toy_set.name)
        _write_state(out, world, finished)
    return drawn


def _read_state(out: Path, world: _JSON) -> list[str]:
    """The finished sets of this world; in a new folder, write down the arguments first."""
    state_file = out / "toy.json"
    if state_file.is_file():
        try:
            state = json.loads(state_file.read_text())
            found, finished = dict(state["world"]), list(state["finished"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"toy world: {state_file} is not what this tool wrote ({error!r}); delete the folder or choose another"
            ) from error
        differing = [key for key in world if found.get(key) != world[key]]
        if differing and set(differing) <= {"train_images", "val_images"} and _grows(found, world):
            kept = [new.name for old, new in _sets(found, world) if old.count == new.count and new.name in finished]
            _write_state(out, world, kept)
            return kept
        if differing:
            key = differing[0]
            raise ValueError(
                f"toy world: {out} holds another world: {key} is {found.get(key)} there, "
                f"but {world[key]} was requested; delete the folder or choose another"
            )
        return finished
    if out.is_dir() and any(out.iterdir()):
        raise ValueError(
            f"toy world: expected {out} to be empty, missing or a toy world, but it holds other files (no toy.json); "
            "choose another folder"
        )
    out.mkdir(parents=True, exist_ok=True)
    _write_state(out, world, [])
    return []


def _sets(found: _JSON, world: _JSON) -> list[tuple[ToySet, ToySet]]:
    """The sets of two worlds, in pairs."""
    plans = [plan_world(w["train_images"], w["val_images"]) for w in (found, world)]
    return list(zip(*plans, strict=True))


def _grows(found: _JSON, world: _JSON) -> bool:
    """Whether no set of the second world is smaller than that of the first."""
    return all(old.count <= new.count for old, new in _sets(found, world))


def _write_state(out: Path, world: _JSON, finished: list[str]) -> None:
    write_whole(out / "toy.json", json.dumps({"world": world, "finished": finished}, indent=1))


def _write_set(root: Path, toy_set: ToySet, *, seed: int, size: int) -> Iterator[bool]:
    """Write one set; for each image, yield whether it was drawn now.

    The JSON of a set can only be written at its end. Until then, each image's part of it is a line in a journal,
    appended after the image's files; an interrupted run continues after the last whole line.
    """
    for folder in (toy_set.img_dir, toy_set.semantic_dir, toy_set.panoptic):
        if folder:
            (root / folder).mkdir(parents=True, exist_ok=True)
    journal = Journal(root / f"{toy_set.split}.journal")
    records = journal.read()
    for _ in records:
        yield False
    with journal:
        for index in range(len(records), toy_set.count):
            scene = draw_scene(toy_set.source, toy_set.split, index, seed=seed, size=size)
            records.append(_write_image(root, toy_set, scene, index))
            journal.append(records[-1])
            yield True
    _write_jsons(root, toy_set, records, size)
    journal.remove()


def _write_image(root: Path, toy_set: ToySet, scene: Scene, index: int) -> _JSON:
    """Write an image with its maps; return its part of the set's JSON files."""
    stem = f"{index + 1:08d}"
    _write_picture(root / toy_set.img_dir / f"{stem}.jpg", scene.image)
    record: _JSON = {"stem": stem}
    if toy_set.semantic_dir:
        _write_picture(root / toy_set.semantic_dir / f"{stem}.png", semantic_map(scene, toy_set.source))
    if toy_set.panoptic:
        segments = scene_segments(scene, toy_set.source)
        record["panoptic"] = write_panoptic_png(root / toy_set.panoptic / f"{stem}.png", segments)
    if toy_set.boxes:
        record["boxes"] = instance_annotations(scene, toy_set.source, with_masks=False)
    if toy_set.masks:
        record["masks"] = instance_annotations(scene, toy_set.source, with_masks=True)
    return record


def _write_jsons(root: Path, toy_set: ToySet, records: list[_JSON], size: int) -> None:
    """Write the JSON files of a set."""
    images = [
        {"id": i + 1, "file_name": f"{r['stem']}.jpg", "height": size, "width": size} for i, r in enumerate(records)
    ]
    common = {"images": images, "categories": categories(toy_set.source)}
    if toy_set.panoptic:
        annotations = [
            {"image_id": i + 1, "file_name": f"{r['stem']}.png", "segments_info": r["panoptic"]}
            for i, r in enumerate(records)
        ]
        write_coco_json(root / f"{toy_set.panoptic}.json", annotations=annotations, **common)
    for key, path in (("boxes", toy_set.boxes), ("masks", toy_set.masks)):
        if not path:
            continue
        flat = [{"image_id": i + 1} | a for i, r in enumerate(records) for a in r[key]]
        numbered = [{"id": n + 1} | a for n, a in enumerate(flat)]
        write_coco_json(root / path, annotations=numbered, **common)


def _write_picture(path: Path, picture: np.ndarray) -> None:
    """Write an RGB image or a map of single values."""
    bgr = picture[..., ::-1] if picture.ndim == 3 else picture
    done, encoded = cv2.imencode(path.suffix, bgr, _JPEG_QUALITY if path.suffix == ".jpg" else [])
    if not done:
        raise OSError(f"toy world: OpenCV could not encode {path}")
    path.write_bytes(encoded.tobytes())
