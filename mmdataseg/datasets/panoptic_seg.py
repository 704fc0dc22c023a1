"""Panoptic data sets in COCO's format: a JSON, a folder of id PNGs, a folder of images."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dataset import BaseDataset

from mmdataseg.datasets.annotation_files import (
    UNKNOWN,
    VOID,
    category_labels,
    check_files,
    class_names,
    load_json,
    require_dir,
    resolve,
    unknown_category,
)
from mmdataseg.errors import UserError
from mmdataseg.registry import DATASETS


@DATASETS.register_module()
class PanopticSegDataset(BaseDataset):
    """COCO panoptic annotations, their categories matched to the label space by name.

    Args:
        ann_file: The JSON.
        img_dir: Image folder.
        ann_dir: Folder of the id PNGs.
        data_root: Folder that the paths are relative to.
        metainfo: ``classes`` and ``is_thing`` of the label space; the wrapper gives it.
        pipeline: Transforms.
        test_mode: For testing: a bad sample is an error.
        indices: Only the first (or, negative, last) so many, or these.
        label_map: Category name in the JSON -> class name, or None for void; names it lacks are taken as they are.

    Raises:
        FileNotFoundError: A folder, the JSON, an image or a PNG is missing.
        UserError: The JSON is no JSON or lacks a key; images without annotation, or the reverse; a category outside
            the label space.
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
        self.classes = class_names(metainfo, type(self).__name__)
        super().__init__(metainfo=metainfo, pipeline=list(pipeline), test_mode=test_mode, indices=indices)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read and check the JSON.

        Returns:
            One dict an image: ``img_path``, ``seg_map_path``, ``img_id``, ``height``, ``width`` and ``segments_info``,
            a list of dict(id, category (label, -1 = void), is_thing, iscrowd).
        """
        require_dir(self.img_dir, "image folder")
        require_dir(self.ann_dir, "folder of panoptic PNGs")
        content = load_json(self.json_file, ("images", "annotations", "categories"))
        labels = category_labels(
            content["categories"], classes=self.classes, label_map=self.label_map, path=self.json_file
        )
        self._categories = content["categories"]
        images = self._by_id(content["images"], "id", "images")
        annotations = self._by_id(content["annotations"], "image_id", "annotations")
        self._compare(images, annotations)
        if not images:
            raise UserError(f"'{self.json_file}' has no image; give a file with at least one")
        is_thing = self._is_thing()
        try:
            data_list = [self._data_info(image, annotations[key], labels, is_thing) for key, image in images.items()]
        except KeyError as error:
            raise UserError(
                f"'{self.json_file}': an image or annotation lacks the key {error}; repair the file"
            ) from None
        check_files(self.img_dir, (i["file_name"] for i in images.values()), "images", self.json_file)
        check_files(self.ann_dir, (a["file_name"] for a in annotations.values()), "panoptic PNGs", self.json_file)
        return data_list

    def _is_thing(self) -> list[bool]:
        """The label space's flags; without them (used outside a source) those of the JSON's categories, by name."""
        if "is_thing" in self._metainfo:
            return [bool(thing) for thing in self._metainfo["is_thing"]]
        things = {str(c["name"]).strip() for c in self._categories if c.get("isthing", 0)}
        return [name.strip() in things for name in self.classes]

    def _by_id(self, entries: list[dict[str, Any]], key: str, what: str) -> dict[Any, dict[str, Any]]:
        found: dict[Any, dict[str, Any]] = {}
        for entry in entries:
            if not isinstance(entry, dict) or key not in entry:
                raise UserError(f"'{self.json_file}': an entry of {what!r} has no {key!r}; repair the file")
            if entry[key] in found:
                raise UserError(f"'{self.json_file}': image {entry[key]} stands twice in {what!r}; repair the file")
            found[entry[key]] = entry
        return found

    def _compare(self, images: Mapping[Any, Any], annotations: Mapping[Any, Any]) -> None:
        without = [key for key in images if key not in annotations]
        if without:
            raise UserError(
                f"'{self.json_file}': {len(without)} images have no annotation, e.g. image {without[0]}; annotate "
                "them, or take them out of 'images'"
            )
        strangers = [key for key in annotations if key not in images]
        if strangers:
            raise UserError(
                f"'{self.json_file}': {len(strangers)} annotations are of images that are not listed, e.g. image "
                f"{strangers[0]}; add them to 'images', or take the annotations out"
            )

    def _data_info(
        self, image: Mapping[str, Any], annotation: Mapping[str, Any], labels: Mapping[int, int], is_thing: list[bool]
    ) -> dict[str, Any]:
        segments = []
        ids = set()
        for segment in annotation["segments_info"]:
            label = labels.get(segment["category_id"], UNKNOWN)
            if label == UNKNOWN:
                where = f"segment {segment['id']} of image {image['id']}"
                raise unknown_category(self.json_file, where, segment["category_id"], self._categories)
            segments.append(
                {
                    "id": segment["id"],
                    "category": label,
                    "is_thing": label != VOID and is_thing[label],
                    "iscrowd": bool(segment.get("iscrowd", 0)),
                }
            )
            ids.add(segment["id"])
        if len(ids) != len(segments) or 0 in ids:
            raise UserError(
                f"'{self.json_file}': the segment ids of image {image['id']} must differ and be positive; repair the "
                "file"
            )
        return {
            "img_path": str(self.img_dir / image["file_name"]),
            "seg_map_path": str(self.ann_dir / annotation["file_name"]),
            "img_id": image["id"],
            "height": image["height"],
            "width": image["width"],
            "segments_info": segments,
        }
