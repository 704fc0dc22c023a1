"""Panoptic datasets in COCO's format: a JSON file, a folder of id PNGs and a folder of images."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmdataseg.datasets.class_names import class_names
from mmdataseg.errors import UserError
from mmdataseg.formats.categories import UNKNOWN, category_labels, unknown_category
from mmdataseg.formats.coco_panoptic import load_panoptic_json
from mmdataseg.formats.coco_values import as_flag, as_id, id_key
from mmdataseg.formats.json_files import broken
from mmdataseg.formats.paths import check_files, require_dir, resolve
from mmdataseg.ops.id_map import VOID
from mmdataseg.registry import DATASETS


@DATASETS.register_module()
class PanopticSegDataset(BaseDataset):
    """COCO panoptic annotations. Categories are matched to the label space by name.

    Args:
        ann_file: The JSON file.
        img_dir: Image folder.
        ann_dir: Folder of the id PNGs.
        data_root: Folder that the paths are relative to.
        metainfo: ``classes`` and ``is_thing`` of the label space; `MultiSourceDataset` passes it.
        pipeline: Transforms.
        test_mode: For testing: a bad sample is an error.
        indices: An int n keeps the first n images, or the last -n if it is negative; a sequence keeps these positions.
        label_map: Category name in the JSON -> class name, or None for void. Names that are not in the map keep their
            name.

    Raises:
        MissingFileError: A folder, the JSON, an image or a PNG is missing.
        UserError: The JSON is not valid or has no such key; an image has no annotation, or an annotation no image; a
            category is not in the label space; an id or a flag is not valid; or file and label space swap things and
            stuff.
    """

    def __init__(
        self,
        *,
        ann_file: str,
        img_dir: str,
        ann_dir: str,
        data_root: str = "",
        metainfo: Mapping[str, Any] | None = None,
        pipeline: Sequence[Any] = (),
        test_mode: bool = False,
        indices: int | Sequence[int] | None = None,
        label_map: Mapping[str, str | None] | None = None,
    ) -> None:
        self.json_file = resolve(data_root, ann_file)
        self.img_dir = resolve(data_root, img_dir)
        self.ann_dir = resolve(data_root, ann_dir)
        self.label_map = label_map
        self.suspicions: list[str] = []
        self.classes = class_names(metainfo, type(self).__name__)
        super().__init__(metainfo=metainfo, pipeline=list(pipeline), test_mode=test_mode, indices=indices)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read and check the JSON.

        Returns:
            One dict per image: ``img_path``, ``seg_map_path``, ``img_id``, ``height``, ``width`` and ``segments_info``,
            a list of dict(id, category (label, -1 = void), is_thing, iscrowd).
        """
        require_dir(self.img_dir, "image folder")
        require_dir(self.ann_dir, "folder of panoptic PNGs")
        content = load_panoptic_json(self.json_file)
        labels = category_labels(
            content.categories, classes=self.classes, label_map=self.label_map, path=self.json_file
        )
        self._categories = content.categories
        images, annotations = content.images, content.annotations
        if not images:
            raise UserError("the file has no image", file=self.json_file, remedy="use a file with at least one image")
        is_thing = self._is_thing()
        try:
            data_list = [self._data_info(image, annotations[key], labels, is_thing) for key, image in images.items()]
        except KeyError as error:
            raise broken(self.json_file, f"an image or annotation has no key {error}") from None
        self._compare_flags(labels, is_thing)
        check_files(self.img_dir, (i["file_name"] for i in images.values()), "images", self.json_file)
        check_files(self.ann_dir, (a["file_name"] for a in annotations.values()), "panoptic PNGs", self.json_file)
        return data_list

    def _is_thing(self) -> list[bool]:
        """Return the thing flags of the label space or, outside a source, those of the JSON's categories by name."""
        is_thing = self.metainfo.get("is_thing")
        if is_thing is not None:
            return [bool(thing) for thing in is_thing]
        things = {str(c["name"]).strip() for c in self._categories if self._flag(c, "isthing")}
        return [name.strip() in things for name in self.classes]

    def _data_info(
        self, image: Mapping[str, Any], annotation: Mapping[str, Any], labels: Mapping[int, int], is_thing: list[bool]
    ) -> dict[str, Any]:
        segments = []
        for segment in annotation["segments_info"]:
            category_id = id_key(segment["category_id"])
            label = labels.get(category_id, UNKNOWN)
            if label == UNKNOWN:
                where = f"segment {segment['id']} of image {image['id']}"
                raise unknown_category(self.json_file, where, category_id, self._categories)
            segments.append(
                {
                    "id": self._id(segment),
                    "category": label,
                    "is_thing": label != VOID and is_thing[label],
                    "iscrowd": self._flag(segment, "iscrowd"),
                }
            )
        ids = {segment["id"] for segment in segments}
        if len(ids) != len(segments) or 0 in ids:
            raise broken(self.json_file, f"image {image['id']}: expected distinct, positive segment ids")
        return {
            "img_path": str(self.img_dir / image["file_name"]),
            "seg_map_path": str(self.ann_dir / annotation["file_name"]),
            "img_id": image["id"],
            "height": self._id(image, "height"),
            "width": self._id(image, "width"),
            "segments_info": segments,
        }

    def _id(self, entry: Mapping[str, Any], key: str = "id") -> int:
        try:
            return as_id(entry[key], key)
        except ValueError as error:
            raise self._unreadable(entry, error) from None

    def _flag(self, entry: Mapping[str, Any], key: str) -> bool:
        try:
            return as_flag(entry.get(key), key)
        except ValueError as error:
            raise self._unreadable(entry, error) from None

    def _unreadable(self, entry: Mapping[str, Any], error: ValueError) -> UserError:
        return broken(self.json_file, f"an entry cannot be read ({error}): {str(entry)[:200]}")

    def _compare_flags(self, labels: Mapping[Any, int], is_thing: Sequence[bool]) -> None:
        """Compare the thing flags of the label space with those of the file, if it has any.

        Raises:
            UserError: They differ for every class: things and stuff are swapped.
        """
        flagged = [(c, labels[id_key(c["id"])]) for c in self._categories if c.get("isthing") is not None]
        flagged = [(category, label) for category, label in flagged if label >= 0]
        other = [str(c["name"]) for c, label in flagged if self._flag(c, "isthing") != is_thing[label]]
        if not other:
            return
        what = (
            f"'isthing' of {len(other)} of {len(flagged)} categories differs from is_thing of the label space, e.g. "
            f"{other[0]!r}"
        )
        if len(other) == len(flagged) > 1:
            raise UserError(what, file=self.json_file, remedy="correct is_thing of the label space")
        self.suspicions.append(f"{what}; unless this is intended, correct one of them")
        print_log(f"'{self.json_file}': {self.suspicions[-1]}", logger="current", level=logging.WARNING)
