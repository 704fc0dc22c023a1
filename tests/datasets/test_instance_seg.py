"""COCO-style boxes and masks as columns, and their cache."""

import errno
import json
import multiprocessing
import os
from pathlib import Path

import pytest

from mmdataseg.datasets import InstanceSegDataset
from mmdataseg.errors import UserError
from mmdataseg.formats import coco_instances
from mmdataseg.formats.instance_table import InstanceTable
from mmdataseg.registry import TRANSFORMS
from tests.datasets.writing import METAINFO, InstanceFiles, write_json


@pytest.fixture
def files(tmp_path):
    return InstanceFiles(tmp_path)


def test_boxes_of_each_image(files):
    dataset = InstanceSegDataset(**files.write())
    assert len(dataset) == 2
    assert dataset.get_data_info(0)["instances"] == []
    info = dataset.get_data_info(1)
    assert info["img_id"] == 8
    assert info["img_path"] == str(files.root / "images/part1/ü.jpg")
    assert (info["height"], info["width"]) == (10, 20)
    assert info["sample_idx"] == 1
    assert info["instances"] == [
        {"bbox": [2.5, 1, 6.5, 4], "bbox_label": 1, "ignore_flag": 0},
        {"bbox": [10, 5, 20, 10], "bbox_label": 1, "ignore_flag": 1},
        {"bbox": [0, 0, 20, 10], "bbox_label": 0, "ignore_flag": 0},
    ]
    assert dataset.get_cat_ids(1) == [1, 1, 0]
    assert dataset.get_data_info(-1)["img_id"] == 8


@pytest.mark.parametrize("block", [1, 2, 1 << 16])
def test_blocks_change_nothing(files, monkeypatch, block):
    monkeypatch.setattr(coco_instances, "_BLOCK", block)
    files.add_masks()
    dataset = InstanceSegDataset(**files.write(), with_masks=True)
    instances = dataset.get_data_info(1)["instances"]
    assert [i["mask"] for i in instances] == [a["segmentation"] for a in files.annotations]
    assert [i["bbox_label"] for i in instances] == [1, 1, 0]


def test_boxes_alone_do_not_look_at_masks(files):
    files.annotations[0]["segmentation"] = "nonsense"
    assert "mask" not in InstanceSegDataset(**files.write()).get_data_info(1)["instances"][0]


def test_label_map_renames_and_leaves_out(files):
    dataset = InstanceSegDataset(**files.write(), label_map={"dog": None, "cat": "grass"})
    assert dataset.get_data_info(1)["instances"] == [{"bbox": [0, 0, 20, 10], "bbox_label": 3, "ignore_flag": 0}]
    assert "2 void by label_map" in dataset.table.summary()


def test_boxes_that_stick_out_are_clipped_and_counted(files):
    files.annotations[0]["bbox"] = [-0.5, 1, 4, 9.25]
    dataset = InstanceSegDataset(**files.write())
    assert dataset.get_data_info(1)["instances"][0]["bbox"] == [0, 1, 3.5, 10]
    assert "1 clipped to their image" in dataset.table.summary()
    assert "1 crowd" in dataset.table.summary()
    assert "1 without box" in dataset.table.summary()


BAD_BOXES = [
    [2, 1, 0, 3],
    [2, 1, 4, 0],
    [2, 1, -4, 3],
    [2, 1, 4, float("nan")],
    [2, float("inf"), 4, 3],
    [None, 1, 4, 3],
    [20, 1, 4, 3],
    [2, 10.5, 4, 3],
    [-9, 1, 9, 3],
]


@pytest.mark.parametrize("box", BAD_BOXES)
def test_a_bad_box_is_refused(files, box):
    files.annotations[2]["bbox"] = box
    match = r"instances\.json': 1 box is not a valid box in its image, e\.g\. annotation 3: xyxy .*drop_bad_boxes=True"
    with pytest.raises(ValueError, match=match):
        InstanceSegDataset(**files.write())


@pytest.mark.parametrize("box", BAD_BOXES)
def test_bad_boxes_can_be_left_out(files, box):
    files.annotations[0]["bbox"] = box
    dataset = InstanceSegDataset(**files.write(), drop_bad_boxes=True)
    assert [i["bbox_label"] for i in dataset.get_data_info(1)["instances"]] == [1, 0]
    assert "1 bad" in dataset.table.summary()


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("box", [[2, 1, 0, 3], [2, 1, 4, 0], [0, 0, 0, 0], [20, 10, 0, 0], [18, 3, 9, 0]])
def test_a_box_without_extent_does_not_matter_if_the_object_has_a_mask(files, box, drop):
    """The dog is trained by its mask; mmdet leaves it out. The crowd and the cat have other boxes."""
    files.add_masks()
    files.annotations[0]["bbox"] = box
    dataset = InstanceSegDataset(**files.write(), with_masks=True, drop_bad_boxes=drop)
    assert dataset.table.summary().endswith(
        f"3 boxes (1 crowd, {int(box[0] + box[2] > 20)} clipped to their image, 1 without extent, of which only the "
        "mask is used; left out: 0 void by label_map, 0 bad)"
    )
    assert dataset.table.num_targets == 2
    assert dataset.table.suspicions == []
    for size in (None, (10, 20), (6, 6)):
        steps = [dict(type="mmdataseg.LoadImage"), dict(type="mmdataseg.LoadInstances", with_masks=True)]
        steps += [] if size is None else [dict(type="mmdataseg.RandomCrop", size=size)]
        steps += [dict(type="mmdataseg.PackInputs")]
        sample = dataset.get_data_info(1)
        for step in steps:
            sample = TRANSFORMS.build(step)(sample)
        truth = sample["data_samples"].gt_instances
        if size != (6, 6):
            assert truth.labels.tolist() == [1, 0]
            assert truth.masks[0].sum() == 12
            assert truth.bboxes.tolist() == [[2, 1, 6, 4], [0, 0, 20, 10]]  # the first is that of the mask
        assert all(mask.any() for mask in truth.masks)


@pytest.mark.parametrize("box", [box for box in BAD_BOXES if 0 not in box[2:]] + [[21, 1, 0, 3], [2, -1, 4, 0]])
def test_other_bad_boxes_are_refused_with_masks_too(files, box):
    files.add_masks()
    files.annotations[0]["bbox"] = box
    with pytest.raises(UserError, match=r"1 box is not a valid box in its image, .* annotation 1"):
        InstanceSegDataset(**files.write(), with_masks=True)
    dataset = InstanceSegDataset(**files.write(), with_masks=True, drop_bad_boxes=True)
    assert dataset.table.summary().endswith(
        "2 boxes (1 crowd, 0 clipped to their image; left out: 0 void by label_map, 1 bad)"
    )


def test_boxes_of_masks_that_are_all_zeros_are_no_fractions_of_the_image(files):
    files.add_masks()
    for annotation in files.annotations:
        annotation["bbox"] = [0, 0, 0, 0]
    table = InstanceSegDataset(**files.write(), with_masks=True).table
    assert "3 without extent" in table.summary()
    assert table.suspicions == []
    assert table.num_targets == 2


def test_the_log_counts_a_box_once(files):
    """A clipped or flat box that is left out, because its class is void, is only counted as void."""
    files.add_masks()
    files.annotations[0]["bbox"] = [-0.5, 1, 4, 9.25]
    files.annotations[1]["bbox"] = [10, 5, 10, 0]
    dataset = InstanceSegDataset(**files.write(), with_masks=True, label_map={"dog": None})
    assert dataset.table.summary().endswith(
        "1 boxes (0 crowd, 0 clipped to their image; left out: 2 void by label_map, 0 bad)"
    )


@pytest.mark.parametrize("box", [[1, 2, 3], [1, 2, 3, 4, 5], "box", None, [1, 2, 3, "x"]])
def test_box_that_is_not_four_numbers(files, box):
    files.annotations[1]["bbox"] = box
    with pytest.raises(
        ValueError, match=r"instances\.json': an entry of 'annotations' cannot be read .*: id 2; repair"
    ):
        InstanceSegDataset(**files.write())


@pytest.mark.parametrize(("key", "field"), [("annotations", "bbox"), ("annotations", "image_id"), ("images", "height")])
def test_missing_field(files, key, field):
    del files.content[key][1][field]
    with pytest.raises(ValueError, match=rf"instances\.json': an entry of '{key}' has no '{field}': id \d"):
        InstanceSegDataset(**files.write())


@pytest.mark.parametrize("wrong", [[1, 1, 2, 2], [1, 1, 2, 2, 3], 5])
def test_a_polygon_that_is_none_is_found_before_a_training(files, wrong):
    """One among those of an object that has others; such files come from editors."""
    files.add_masks()
    files.annotations[2]["segmentation"].append(wrong)
    with pytest.raises(
        UserError, match=r"instances\.json': an entry of 'annotations' .*polygon.*: id 3; repair the file"
    ):
        InstanceSegDataset(**files.write(), with_masks=True)
    assert len(InstanceSegDataset(**files.write())) == 2


def test_annotations_with_ignore_are_no_targets(files):
    """As in mmdet, whose converter writes the flag for VOC's difficult objects."""
    files.annotations[2]["ignore"] = 1
    dataset = InstanceSegDataset(**files.write())
    assert [i["ignore_flag"] for i in dataset.get_data_info(1)["instances"]] == [0, 1, 1]
    assert dataset.table.num_targets == 1


@pytest.mark.parametrize("segmentation", [None, []])
def test_mask_that_is_missing(files, segmentation):
    files.add_masks()
    if segmentation is None:
        del files.annotations[2]["segmentation"]
    else:
        files.annotations[2]["segmentation"] = segmentation
    with pytest.raises(ValueError, match=r"segmentation.*id 3; repair the file, or train with boxes only"):
        InstanceSegDataset(**files.write(), with_masks=True)


def test_category_outside_the_label_space(files):
    files.annotations[1]["category_id"] = 11
    match = r"instances\.json': annotation 2 has category 11 \('unicorn'\), .*not in the label space; map .*label_map"
    with pytest.raises(ValueError, match=match):
        InstanceSegDataset(**files.write())


def test_annotation_of_an_unlisted_image(files):
    files.annotations[1]["image_id"] = 77
    with pytest.raises(ValueError, match=r"annotation 2 belongs to image 77, which is not listed; add it"):
        InstanceSegDataset(**files.write())


def test_image_id_that_appears_twice(files):
    files.content["images"].append(files.content["images"][0])
    with pytest.raises(ValueError, match="image id 9 appears twice in 'images'"):
        InstanceSegDataset(**files.write())


def test_no_annotation_and_no_image(files):
    files.content["annotations"] = []
    dataset = InstanceSegDataset(**files.write())
    assert [dataset.get_data_info(i)["instances"] for i in range(2)] == [[], []]
    files.content["images"] = []
    with pytest.raises(ValueError, match=r"instances\.json': the file has no image"):
        InstanceSegDataset(**files.write())


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"images": [', "not valid JSON .*copied or downloaded completely"),
        ("{}", "key 'images' is missing"),
        ('{"images": [5], "annotations": [], "categories": []}', "an entry of 'images' cannot be read .*: 5; repair"),
    ],
)
def test_a_file_that_is_not_coco_json_is_refused(files, text, match):
    arguments = files.write()
    write_json(files.root / "instances.json", text)
    with pytest.raises(ValueError, match=rf"instances\.json'.* {match}"):
        InstanceSegDataset(**arguments)


def test_missing_files(files):
    arguments = files.write()
    with pytest.raises(FileNotFoundError, match=r"image folder '.*nowhere' does not exist"):
        InstanceSegDataset(**arguments | {"img_dir": "nowhere"})
    with pytest.raises(FileNotFoundError, match=r"annotation file '.*nowhere' does not exist"):
        InstanceSegDataset(**arguments | {"ann_file": "nowhere"})
    (files.root / "images/part2/empty.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 images listed in .* are missing .*\['part2/empty\.jpg'\]"):
        InstanceSegDataset(**arguments)


@pytest.mark.parametrize(("indices", "ids"), [(1, [9]), (-1, [8]), ([1, 0], [8, 9]), (0, [])])
def test_indices(files, indices, ids):
    dataset = InstanceSegDataset(**files.write(), indices=indices)
    assert [dataset.get_data_info(i)["img_id"] for i in range(len(dataset))] == ids


def test_subset_is_another_dataset(files):
    dataset = InstanceSegDataset(**files.write())
    subset = dataset.get_subset([1])
    assert (len(dataset), len(subset)) == (2, 1)
    assert subset.get_data_info(0)["img_id"] == 8
    assert subset.table is dataset.table


def count_reads(monkeypatch):
    reads = []
    original = InstanceSegDataset._read
    monkeypatch.setattr(InstanceSegDataset, "_read", lambda self: (reads.append(1), original(self))[1])
    return reads


@pytest.mark.parametrize("with_masks", [False, True])
def test_second_start_reads_the_cache(files, monkeypatch, with_masks):
    files.add_masks()
    reads = count_reads(monkeypatch)
    arguments = files.write() | {"cache_dir": "cache", "with_masks": with_masks}
    without = InstanceSegDataset(**arguments | {"cache_dir": None})
    first, second = InstanceSegDataset(**arguments), InstanceSegDataset(**arguments)
    assert len(reads) == 2  # without cache, and the first with
    (cache,) = (files.root / "cache").iterdir()  # no lock, nothing half written
    assert cache.suffix == ".safetensors"
    assert str(cache) in Path("/proc/self/maps").read_text(), "memory-mapped, not copied"
    assert not second.table.boxes.flags.writeable
    for index in range(2):
        assert without.get_data_info(index) == first.get_data_info(index) == second.get_data_info(index)


def test_cache_is_not_used_for_other_data_or_options(files, monkeypatch):
    reads = count_reads(monkeypatch)
    arguments = files.write() | {"cache_dir": "cache"}
    InstanceSegDataset(**arguments)
    InstanceSegDataset(**arguments, label_map={"dog": None})
    other = {"metainfo": METAINFO | {"classes": METAINFO["classes"][::-1]}}
    assert InstanceSegDataset(**arguments | other).get_cat_ids(1) == [2, 2, 3]
    assert len(reads) == 3
    status = (files.root / "instances.json").stat()
    os.utime(files.root / "instances.json", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    InstanceSegDataset(**arguments)
    assert len(reads) == 4


def test_files_of_one_name_size_and_time_in_two_folders_have_a_cache_each(tmp_path):
    """As unpacked from an archive whose files all have the same time."""
    boxes = {"train": [2, 1, 4, 3], "valid": [3, 1, 4, 3]}
    for split, box in boxes.items():
        files = InstanceFiles(tmp_path / split)
        files.annotations[0]["bbox"] = box
        files.write()
        os.utime(tmp_path / split / "instances.json", (1e9, 1e9))
    for split, (x, *_) in boxes.items():
        paths = {"img_dir": f"{split}/images", "ann_file": f"{split}/instances.json", "cache_dir": "cache"}
        dataset = InstanceSegDataset(data_root=str(tmp_path), metainfo=METAINFO, **paths)
        assert dataset.get_data_info(1)["instances"][0]["bbox"][0] == x


def test_a_cache_that_moved_with_its_data_is_used(tmp_path, monkeypatch):
    reads = count_reads(monkeypatch)
    arguments = InstanceFiles(tmp_path / "here").write() | {"cache_dir": "cache"}
    InstanceSegDataset(**arguments)
    (tmp_path / "here").rename(tmp_path / "there")
    assert len(InstanceSegDataset(**arguments | {"data_root": str(tmp_path / "there")})) == 2
    assert len(reads) == 1


def test_a_file_that_is_refused_leaves_no_cache(files):
    files.annotations[0]["bbox"] = [0, 0, 0, 0]
    for _ in range(2):
        with pytest.raises(ValueError, match="not a valid box in its image"):
            InstanceSegDataset(**files.write(), cache_dir="cache")
    assert list((files.root / "cache").iterdir()) == []


def test_cache_that_cannot_be_written(files):
    arguments = files.write()
    (files.root / "cache").write_text("a file, no folder")
    with pytest.raises(
        ValueError, match=r"instances\.json': cannot write the cache of this file under .*; set cache_dir"
    ):
        InstanceSegDataset(**arguments, cache_dir="cache")


def _length(arguments):
    return len(InstanceSegDataset(**arguments))


def test_a_file_system_without_locks_has_caches_too(files, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    assert len(InstanceSegDataset(**files.write(), cache_dir="cache")) == 2
    assert [path.suffix for path in (files.root / "cache").iterdir()] == [".safetensors"]


def test_processes_that_start_together_share_one_cache(files):
    arguments = files.write() | {"cache_dir": "cache"}
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map(_length, [arguments] * 3) == [2, 2, 2]
    assert len(list((files.root / "cache").iterdir())) == 1


def test_columns_and_not_objects(tmp_path):
    """100 boxes an image cost 21 bytes each and some: what Objects365's 30 million need fits in a gigabyte."""
    num_images, per_image = 200, 100
    content = {
        "images": [{"id": i, "file_name": f"{i:08}.jpg", "height": 50, "width": 50} for i in range(num_images)],
        "annotations": [
            {"id": n, "image_id": n % num_images, "category_id": 1, "bbox": [n % 7, 1, 3, 2], "iscrowd": 0}
            for n in range(num_images * per_image)
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    table = coco_instances.read_instance_table(path, classes=["cat"])
    size = sum(getattr(table, name).nbytes for name in InstanceTable.columns())
    assert size <= num_images * per_image * 21 + num_images * 50
    assert [len(table.instances(i)) for i in range(num_images)] == [per_image] * num_images
    assert table.instances(3)[1]["bbox"] == [(203) % 7, 1, 203 % 7 + 3, 3]
