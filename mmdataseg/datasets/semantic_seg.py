"""Semantic datasets: a folder of images and a folder of label PNGs, as in ADE20K."""

import glob
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

from mmdataseg.datasets.class_names import class_names
from mmdataseg.errors import MissingFileError, UserError
from mmdataseg.formats.categories import UNKNOWN, check_mapped_classes
from mmdataseg.formats.coco_values import as_id
from mmdataseg.formats.id_maps import label_table
from mmdataseg.formats.paths import list_files, other_form, require_dir, require_file, resolve
from mmdataseg.formats.text_files import read_lines
from mmdataseg.ops.id_map import VOID
from mmdataseg.progress import counted
from mmdataseg.registry import DATASETS

_SEVERAL = "(['.jpg', '.png'], '.png')"  # an example for messages


@DATASETS.register_module()
class SemanticSegDataset(BaseDataset):
    """Images and label PNGs with the same relative names, in two folders.

    On disk, class k of the label space has the value k, or k + 1 with ``zero_is_void``. ``label_map`` replaces this
    rule.

    Args:
        data_root: Folder that the other paths are relative to.
        img_dir: Image folder.
        ann_dir: Folder of the label PNGs.
        ann_file: Text file with one name per line, without suffix; '': all images of ``img_dir``.
        metainfo: ``classes`` of the label space; `MultiSourceDataset` passes it.
        pipeline: Transforms.
        test_mode: For testing: a bad sample is an error.
        indices: An int n keeps the first n images, or the last -n if it is negative; a sequence keeps these positions.
        suffixes: Suffix of the images, or a list of suffixes that they may have, and suffix of the label PNGs.
        zero_is_void: 0 means unlabelled and class k is stored as k + 1 (ADE20K).
        ignore_index: Another value on disk that means unlabelled; None: no such value (needed if 255 is the value of a
            class).
        label_map: Value on disk -> class name, or None for void. It replaces the rule above. Other values are errors.

    Raises:
        MissingFileError: A folder or the file is missing; or an image has no label PNG, or a label PNG no image.
        UserError: There are no images or no classes; ``suffixes`` does not have two entries; ``ann_file`` has a name
            twice; two images differ only in the suffix; ``ignore_index`` is the value of a class; or the label map
            names a class that the label space does not have.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        img_dir: str,
        ann_dir: str,
        data_root: str = "",
        ann_file: str = "",
        metainfo: Mapping[str, Any] | None = None,
        pipeline: Sequence[Any] = (),
        test_mode: bool = False,
        indices: int | Sequence[int] | None = None,
        suffixes: tuple[str | Sequence[str], str] = (".jpg", ".png"),
        zero_is_void: bool = False,
        ignore_index: int | None = 255,
        label_map: Mapping[int, str | None] | None = None,
    ) -> None:
        self.img_dir = resolve(data_root, img_dir)
        self.ann_dir = resolve(data_root, ann_dir)
        self.name_file = resolve(data_root, ann_file) if ann_file else None
        if len(suffixes) != 2 or suffixes[0] in ((), []):
            raise UserError(
                f"suffixes: expected that of the images and that of the label PNGs, got {suffixes}",
                file=self.img_dir,
                remedy=f"for several suffixes of images, write suffixes={_SEVERAL}",
            )
        of_images, self.label_suffix = suffixes
        self.image_suffixes = (of_images,) if isinstance(of_images, str) else tuple(of_images)
        classes = class_names(metainfo, type(self).__name__)
        if label_map is None:
            self.label_table = _table_by_order(len(classes), zero_is_void, ignore_index, self.ann_dir)
        else:
            self.label_table = _table_by_name(label_map, classes, ignore_index)
        super().__init__(metainfo=metainfo, pipeline=list(pipeline), test_mode=test_mode, indices=indices)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the images and check, by listing both folders, that each has its label PNG."""
        require_dir(self.img_dir, "image folder")
        require_dir(self.ann_dir, "folder of label PNGs")
        images = self._list_images()
        labels = list_files(self.ann_dir, self.label_suffix)
        if self.name_file is None:
            names, origin = sorted(images), self.img_dir
            self._refuse(labels - set(images), "label PNGs have no image", self.img_dir, self.image_suffixes[0], images)
        else:
            names, origin = read_lines(require_file(self.name_file, "list of names")), self.name_file
            names = [name.replace("\\", "/") for name in names]
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise UserError(
                    f"{counted(len(twice), 'name appears', 'names appear')} more than once, e.g. {twice[0]!r}",
                    file=origin,
                    remedy="remove the repetitions; ratios of the batch_sampler decide how often a source is drawn",
                )
            what = f"names of '{self.name_file}' have no image"
            self._refuse(set(names) - set(images), what, self.img_dir, self.image_suffixes[0], images)
        self._refuse(set(names) - labels, "images have no label PNG", self.ann_dir, self.label_suffix, labels)
        if not names:
            raise UserError(
                f"there is no image with the suffix {' or '.join(map(repr, self.image_suffixes))}",
                file=origin,
                remedy="set suffixes or img_dir",
            )
        return [
            {
                "img_path": str(self.img_dir / (name + images[name])),
                "seg_map_path": str(self.ann_dir / (name + self.label_suffix)),
                "img_id": name,
            }
            for name in names
        ]

    def _list_images(self) -> dict[str, str]:
        """Return name -> suffix of each image."""
        images: dict[str, str] = {}
        files = list_files(self.img_dir, "")
        for suffix in self.image_suffixes:
            for name in (file.removesuffix(suffix) for file in files if file.endswith(suffix)):
                if name in images:
                    raise UserError(
                        f"has both '{name}{images[name]}' and '{name}{suffix}', for one label PNG",
                        file=self.img_dir,
                        remedy="remove or rename one of them, or list fewer suffixes",
                    )
                images[name] = suffix
        return images

    def _refuse(self, names: set[str], what: str, folder: Path, suffix: str, present: Collection[str]) -> None:
        if not names:
            return
        first = [name + suffix for name in sorted(names)[:3]]
        other = self._with_other_suffix(folder / min(names))
        raise MissingFileError(
            f"{len(names)} {what} in '{folder}', e.g. {first} missing{other_form(sorted(names), present)}",
            remedy="complete the folder, or list the complete samples in ann_file"
            if other is None
            else f"the folder has '{other}': set suffixes to those of the files, e.g. suffixes={_SEVERAL}",
        )

    def _with_other_suffix(self, path: Path) -> str | None:
        """Return the name of a file that differs from a missing one, given without suffix, only in the suffix."""
        in_one_folder = self.img_dir == self.ann_dir  # then one of the other kind, which is not missing, is there, too
        known = {path.name + suffix for suffix in (*self.image_suffixes, self.label_suffix) if in_one_folder}
        found = path.parent.glob(f"{glob.escape(path.name)}.*") if path.parent.is_dir() else ()
        return min((file.name for file in found if file.name not in known), default=None)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the paths of a sample, and ``label_table``, (V,) int32: value on disk -> label."""
        info = super().get_data_info(idx)
        info["label_table"] = self.label_table
        return info


def _table_by_order(num_classes: int, zero_is_void: bool, ignore_index: int | None, ann_dir: Path) -> np.ndarray:
    if ignore_index is not None and 0 <= ignore_index - int(zero_is_void) < num_classes:
        raise UserError(
            f"ignore_index={ignore_index} is also the value of one of the {num_classes} classes",
            file=ann_dir,
            remedy="set ignore_index=None, or set it to the value that the data uses",
        )
    return label_table(1 << 16, num_classes, zero_is_void=zero_is_void, ignore_index=ignore_index)


def _table_by_name(label_map: Mapping[int, str | None], classes: Sequence[str], ignore_index: int | None) -> np.ndarray:
    check_mapped_classes(label_map.values(), classes)
    label_of = {name.strip(): label for label, name in enumerate(classes)}
    table = np.full(1 << 16, UNKNOWN, np.int32)
    if ignore_index is not None and 0 <= ignore_index < len(table):
        table[ignore_index] = VOID
    for key, name in label_map.items():
        try:
            value = as_id(key, "label_map")
        except ValueError:
            value = VOID
        if not 0 <= value < len(table):
            raise UserError(
                f"label_map: expected keys between 0 and {len(table) - 1}, got {key!r}",
                remedy="its keys are the values in the label PNGs",
            )
        table[value] = VOID if name is None else label_of[name.strip()]
    return table
