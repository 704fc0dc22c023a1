"""Instance datasets in COCO's format: boxes only, as in Objects365, or boxes with polygons or RLE."""

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmdataseg.datasets.class_names import class_names
from mmdataseg.errors import UserError
from mmdataseg.formats.coco_instances import read_instance_table
from mmdataseg.formats.instance_table import InstanceTable
from mmdataseg.formats.paths import check_files, require_dir, require_file, resolve
from mmdataseg.formats.table_cache import cached_table
from mmdataseg.registry import DATASETS


@DATASETS.register_module()
class InstanceSegDataset(BaseDataset):
    """COCO-style instance annotations, held as columns. Categories are matched to the label space by name.

    Boxes that extend beyond their image are clipped and counted. Crowd regions, and annotations with ``ignore`` 1, are
    kept with ``ignore_flag``.

    Args:
        ann_file: The JSON file.
        img_dir: Image folder.
        data_root: Folder that the paths are relative to.
        metainfo: ``classes`` of the label space; `MultiSourceDataset` passes it.
        pipeline: Transforms.
        test_mode: For testing: a bad sample is an error.
        indices: An int n keeps the first n images, or the last -n if it is negative; a sequence keeps these positions.
        label_map: Category name in the JSON -> class name, or None to leave its boxes out. Names that are not in the
            map keep their name.
        with_masks: Read ``segmentation``, which each annotation must then have. Otherwise it is ignored.
        cache_dir: Folder, relative to ``data_root``, that keeps the parsed file, so that the next start takes seconds;
            None: no cache.
        drop_bad_boxes: Leave out and count boxes that have no extent, hold NaN or are outside their image, instead of
            refusing the file. With ``with_masks``, objects whose box has width or height 0 are used, by their mask.
        path_parts: Number of parts, from the end, of a file name in the JSON that give its path in ``img_dir``: with 2,
            ``images/v1/patch8/a.jpg`` is read from ``patch8/a.jpg``. None: the whole name.
        leave_out: Images to leave out, given by their paths in ``img_dir``: those that the JSON lists but the published
            image folders do not have. Any other missing image is an error.

    Raises:
        MissingFileError: The JSON, the image folder or an image is missing. Images are only checked when the file is
            parsed, not when it comes from the cache.
        UserError: ``path_parts`` is below 1, or `read_instance_table` refuses the file.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        ann_file: str,
        img_dir: str,
        data_root: str = "",
        metainfo: Mapping[str, Any] | None = None,
        pipeline: Sequence[Any] = (),
        test_mode: bool = False,
        indices: int | Sequence[int] | None = None,
        label_map: Mapping[str, str | None] | None = None,
        with_masks: bool = False,
        cache_dir: str | None = None,
        drop_bad_boxes: bool = False,
        path_parts: int | None = None,
        leave_out: Sequence[str] = (),
    ) -> None:
        if path_parts is not None and path_parts < 1:
            raise UserError(f"expected path_parts to be None or at least 1, got {path_parts}", file=ann_file)
        self.json_file = resolve(data_root, ann_file)
        self.img_dir = resolve(data_root, img_dir)
        self.cache_dir = resolve(data_root, cache_dir) if cache_dir is not None else None
        self.options = {
            "classes": list(class_names(metainfo, type(self).__name__)),
            "label_map": None if label_map is None else dict(label_map),
            "with_masks": with_masks,
            "drop_bad_boxes": drop_bad_boxes,
            "path_parts": path_parts,
            "leave_out": sorted(leave_out),
        }
        self.indices = indices
        super().__init__(metainfo=metainfo, pipeline=list(pipeline), test_mode=test_mode)

    def full_init(self) -> None:
        """Read the table, which replaces the base class's list of dicts."""
        if self._fully_initialized:
            return
        require_dir(self.img_dir, "image folder")
        require_file(self.json_file, "annotation file")
        if self.cache_dir is None:
            self.table = self._read()
        else:
            self.table = cached_table(self.json_file, self.cache_dir, self.options, self._read)
        print_log(f"'{self.json_file}': {self.table.summary()}", logger="current", level=logging.INFO)
        for suspicion in self.table.suspicions:
            print_log(f"'{self.json_file}': {suspicion}", logger="current", level=logging.WARNING)
        self.rows = np.asarray(self.table.rows)
        self._fully_initialized = True  # mmengine documents that `full_init` sets it
        if self.indices is not None:
            self.get_subset_(self.indices)

    def _read(self) -> InstanceTable:
        table = read_instance_table(self.json_file, **self.options)
        check_files(
            self.img_dir,
            (table.name(image) for image in table.rows),
            "images",
            self.json_file,
            remedy="complete the folder, or list them in leave_out, spelled as in this message",
        )
        return table

    def require_targets(self) -> None:
        """Check that there is something to train on.

        Raises:
            UserError: The file has no object, only crowd regions, or only boxes that are smaller than a pixel.
        """
        if not self.table.num_targets:
            raise UserError(
                f"has no object to train on: {self.table.summary()}",
                file=self.json_file,
                remedy="; ".join(self.table.suspicions) or "correct the file, or label_map",
            )

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return ``img_path``, ``img_id``, ``height``, ``width`` and ``instances``: dicts of bbox (xyxy pixels),
        bbox_label, ignore_flag and, with ``with_masks``, mask."""
        image = int(self.rows[idx])
        height, width = self.table.sizes[image].tolist()
        return {
            "img_path": str(self.img_dir / self.table.name(image)),
            "img_id": int(self.table.image_ids[image]),
            "height": height,
            "width": width,
            "instances": self.table.instances(image),
            "sample_idx": idx % len(self),
        }

    def __len__(self) -> int:
        return len(self.rows)

    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keep the first n images for an int n (the last -n if it is negative), or those at the given positions."""
        if isinstance(indices, int):
            self.rows = self.rows[:indices] if indices >= 0 else self.rows[indices:]
        else:
            self.rows = self.rows[np.asarray(indices, np.int64)]

    def get_subset(self, indices: int | Sequence[int]) -> "InstanceSegDataset":
        """Return a dataset of the images that `get_subset_` would keep, over the same table."""
        subset = copy.copy(self)
        subset.get_subset_(indices)
        return subset

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the labels of the image's boxes, for mmengine's ``ClassBalancedDataset``."""
        image = int(self.rows[idx])
        return self.table.labels[self.table.box_offsets[image] : self.table.box_offsets[image + 1]].tolist()
