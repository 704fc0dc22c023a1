"""Loading transforms, on files in the real formats."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from mmdataseg.datasets import (
    ImageReadError,
    InstanceSegDataset,
    LoadImage,
    LoadInstances,
    LoadPanopticMap,
    LoadSemanticMap,
    PanopticSegDataset,
    SemanticSegDataset,
)
from mmdataseg.structures import LabelSpace, Task
from tests.datasets.writing import (
    CLASSES,
    IS_THING,
    METAINFO,
    InstanceFiles,
    PanopticFiles,
    id_to_rgb,
    write_image,
    write_png,
)

SPACE = LabelSpace("four", CLASSES, IS_THING)


@pytest.fixture
def semantic(tmp_path):
    write_image(tmp_path / "img/a.jpg", 2, 3)
    write_png(tmp_path / "ann/a.png", np.array([[0, 1, 1], [3, 4, 4]], np.uint8))
    dataset = SemanticSegDataset(
        data_root=str(tmp_path), img_dir="img", ann_dir="ann", metainfo=METAINFO, zero_is_void=True
    )
    return tmp_path, LoadImage()(dataset.get_data_info(0))


@pytest.fixture
def panoptic(tmp_path):
    files = PanopticFiles(tmp_path)
    return files, LoadImage()(PanopticSegDataset(**files.write()).get_data_info(0))


def load_instances(files, with_masks, **kwargs):
    dataset = InstanceSegDataset(**files.write(), with_masks=with_masks)
    return LoadInstances(with_masks=with_masks, **kwargs)(LoadImage()(dataset.get_data_info(1)))


class TestImage:
    def test_shapes(self, semantic):
        results = semantic[1]
        assert results["img"].shape == (2, 3, 3)
        assert results["img_shape"] == results["ori_shape"] == (2, 3)

    @pytest.mark.parametrize("content", [b"", b"no image", None])
    def test_undecodable(self, semantic, content):
        root, results = semantic
        path = root / "img/a.jpg"
        path.write_bytes(path.read_bytes()[:150] if content is None else content)
        with pytest.raises(ImageReadError, match=r"source 'ade': '.*img/a\.jpg': cannot read this image .*; replace"):
            LoadImage()(results | {"source": "ade"})

    def test_missing(self, semantic):
        root, results = semantic
        (root / "img/a.jpg").unlink()
        with pytest.raises(FileNotFoundError, match=r"img/a\.jpg': this image does not exist; complete the dataset"):
            LoadImage()(results)


class TestSemanticMap:
    def test_rows_and_fields(self, semantic):
        results = LoadSemanticMap()(semantic[1] | {"task": Task.SEMANTIC, "label_space": SPACE})
        assert results["gt_seg_map"].tolist() == [[-1, 0, 0], [1, 2, 2]]
        assert results["gt_seg_map"].dtype == np.int32
        assert results["gt_segment_labels"].tolist() == [0, 2, 3]
        assert results["seg_fields"] == ["gt_seg_map"]
        assert "gt_segment_is_crowd" not in results

    def test_scoring_says_that_nothing_is_crowd(self, semantic):
        assert LoadSemanticMap(scoring=True)(semantic[1])["gt_segment_is_crowd"].tolist() == [False] * 3

    def test_palette_png_holds_indices(self, semantic):
        root, results = semantic
        image = Image.fromarray(np.array([[0, 1, 1], [3, 4, 4]], np.uint8), mode="P")
        image.putpalette(list(range(0, 30)))
        image.save(root / "ann/a.png")
        assert LoadSemanticMap()(results)["gt_segment_labels"].tolist() == [0, 2, 3]

    def test_value_over_the_classes(self, semantic):
        root, results = semantic
        write_png(root / "ann/a.png", np.array([[0, 1, 1], [3, 5, 4]], np.uint8))
        match = r"source 'ade': '.*ann/a\.png': values \[5\] have no class in the label space; correct zero_is_void"
        with pytest.raises(ValueError, match=match):
            LoadSemanticMap()(results | {"source": "ade"})

    def test_other_size_than_the_image(self, semantic):
        root, results = semantic
        write_png(root / "ann/a.png", np.zeros((3, 2), np.uint8))
        match = r"ann/a\.png': the annotation has 3 x 2 pixels .*img/a\.jpg' has 2 x 3; use both from the same release"
        with pytest.raises(ValueError, match=match):
            LoadSemanticMap()(results)

    def test_colours_instead_of_labels(self, semantic):
        root, results = semantic
        write_png(root / "ann/a.png", np.zeros((2, 3, 3), np.uint8))
        with pytest.raises(
            ValueError, match="expected one channel of labels, got 3; is this a coloured picture of the lab"
        ):
            LoadSemanticMap()(results)

    @pytest.mark.parametrize("cut", [0, 40, -28])
    def test_undecodable(self, semantic, cut):
        root, results = semantic
        path = root / "ann/a.png"
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(ValueError, match=r"ann/a\.png': cannot decode this annotation .*; replace the file"):
            LoadSemanticMap()(results)

    @pytest.mark.parametrize("task", [Task.PANOPTIC, "instance"])
    def test_wrong_task(self, semantic, task):
        with pytest.raises(ValueError, match="source 'ade': LoadSemanticMap makes targets for the task 'semantic'"):
            LoadSemanticMap()(semantic[1] | {"task": task, "source": "ade"})


class TestPanopticMap:
    def test_panoptic_task(self, panoptic):
        files, results = panoptic
        results = LoadPanopticMap()(results | {"task": Task.PANOPTIC, "label_space": SPACE})
        assert results["gt_segment_labels"].tolist() == [1, 2, 0]
        expected = np.select([files.IDS == files.DOG, files.IDS == files.SKY, files.IDS == files.CAT], [0, 1, 2], -1)
        assert (results["gt_seg_map"] == expected).all()
        assert results["gt_seg_map"].dtype == np.int32

    def test_task_absent_is_panoptic(self, panoptic):
        assert LoadPanopticMap()(panoptic[1])["gt_segment_labels"].tolist() == [1, 2, 0]

    def test_ids_stored_with_a_palette(self, panoptic):
        """As programs that compress PNGs store an image of few colours."""
        files, results = panoptic
        expected = LoadPanopticMap()(dict(results))["gt_seg_map"]
        with Image.open(files.root / "pngs/a.png") as image:
            image.quantize(256).save(files.root / "pngs/a.png")
        with Image.open(files.root / "pngs/a.png") as image:
            assert image.mode == "P"
        assert (LoadPanopticMap()(dict(results))["gt_seg_map"] == expected).all()

    def test_semantic_task_merges_things(self, panoptic):
        files, results = panoptic
        for info in results["segments_info"]:
            info["iscrowd"] = False  # then the file has two dogs
        results = LoadPanopticMap()(results | {"task": Task.SEMANTIC})
        assert results["gt_segment_labels"].tolist() == [1, 2, 0]
        assert ((results["gt_seg_map"] == 0) == np.isin(files.IDS, [files.DOG, files.CROWD])).all()

    def test_scoring_keeps_crowd(self, panoptic):
        files, results = panoptic
        results = LoadPanopticMap(scoring=True)(results)
        assert results["gt_segment_labels"].tolist() == [1, 2, 1, 0]
        assert results["gt_segment_is_crowd"].tolist() == [False, False, True, False]
        assert ((results["gt_seg_map"] == 2) == (files.IDS == files.CROWD)).all()

    def test_crowd_in_the_words_of_mmdet(self, panoptic):
        _files, results = panoptic
        for info in results["segments_info"]:
            if info.pop("iscrowd"):
                info["is_thing"] = False
        results = LoadPanopticMap(scoring=True)(results | {"label_space": SPACE})
        assert results["gt_segment_is_crowd"].tolist() == [False, False, True, False]

    def test_png_with_an_id_that_the_json_lacks(self, panoptic):
        files, results = panoptic
        ids = np.where(files.IDS == 0, 123456, files.IDS)
        write_png(files.root / "pngs/a.png", id_to_rgb(ids))
        match = (
            r"source 'coco': '.*pngs/a\.png': the PNG has segment ids \[123456\] that are not in the JSON; use ann_file"
        )
        with pytest.raises(ValueError, match=match):
            LoadPanopticMap()(results | {"source": "coco"})

    def test_json_with_an_id_that_the_png_lacks(self, panoptic):
        files, results = panoptic
        write_png(files.root / "pngs/a.png", id_to_rgb(np.where(files.IDS == files.CAT, 0, files.IDS)))
        with pytest.raises(
            ValueError, match=r"pngs/a\.png': the JSON has segment ids \[5\] that are not in the PNG; use"
        ):
            LoadPanopticMap()(results)

    def test_other_size_than_the_image(self, panoptic):
        files, results = panoptic
        write_png(files.root / "pngs/a.png", id_to_rgb(files.IDS[:3]))
        with pytest.raises(ValueError, match=r"pngs/a\.png': the annotation has 3 x 6 pixels .* has 4 x 6"):
            LoadPanopticMap()(results)

    def test_one_channel(self, panoptic):
        files, results = panoptic
        write_png(files.root / "pngs/a.png", np.zeros((4, 6), np.uint8))
        with pytest.raises(ValueError, match=r"pngs/a\.png': expected an RGB PNG of segment ids, got shape \(4, 6\)"):
            LoadPanopticMap()(results)

    def test_undecodable(self, panoptic):
        files, results = panoptic
        (files.root / "pngs/a.png").write_bytes(b"nothing")
        with pytest.raises(ValueError, match=r"pngs/a\.png': cannot decode this annotation"):
            LoadPanopticMap()(results)

    def test_wrong_task(self, panoptic):
        with pytest.raises(ValueError, match=r"LoadPanopticMap makes targets for the task 'panoptic' or 'semantic'"):
            LoadPanopticMap()(panoptic[1] | {"task": Task.INSTANCE})


class TestInstances:
    def test_boxes_without_crowd(self, tmp_path):
        results = load_instances(InstanceFiles(tmp_path), with_masks=False)
        assert results["gt_bboxes"].tensor.tolist() == [[2.5, 1, 6.5, 4], [0, 0, 20, 10]]
        assert results["gt_bboxes_labels"].tolist() == [1, 0]
        assert results["gt_bboxes_labels"].dtype == np.int64
        assert "gt_masks" not in results
        assert "gt_seg_map" not in results

    def test_scoring_keeps_crowd(self, tmp_path):
        results = load_instances(InstanceFiles(tmp_path), with_masks=False, scoring=True)
        assert results["gt_bboxes_labels"].tolist() == [1, 1, 0]
        assert results["gt_ignore_flags"].tolist() == [False, True, False]
        assert results["gt_segment_is_crowd"].tolist() == [False, True, False]

    def test_no_box(self, tmp_path):
        dataset = InstanceSegDataset(**InstanceFiles(tmp_path).write())
        results = LoadInstances()(LoadImage()(dataset.get_data_info(0)))
        assert results["gt_bboxes"].tensor.shape == (0, 4)
        assert results["gt_bboxes_labels"].shape == (0,)

    def test_masks_overlap_and_crowd_is_void(self, tmp_path):
        files = InstanceFiles(tmp_path)
        files.add_masks()
        results = load_instances(files, with_masks=True)
        dog, cat = results["gt_masks"].masks
        expected_dog = np.zeros((10, 20), bool)
        expected_dog[1:4, 2:6] = True
        expected_cat = np.zeros((10, 20), bool)
        expected_cat[0:6, 0:12] = True
        expected_cat[4:10, 0:4] = True
        assert (dog == expected_dog).all()
        assert (cat == expected_cat).all()
        expected_void = np.zeros((10, 20), bool)
        expected_void[5:, 10:] = True
        expected_void &= ~expected_cat  # the cat is known there
        assert ((results["gt_seg_map"] == -1) == expected_void).all()
        assert set(np.unique(results["gt_seg_map"])) == {-1, 0}
        assert results["gt_seg_map"].dtype == np.int32
        assert results["seg_fields"] == ["gt_seg_map"]

    def test_no_mask(self, tmp_path):
        files = InstanceFiles(tmp_path)
        files.add_masks()
        dataset = InstanceSegDataset(**files.write(), with_masks=True)
        results = LoadInstances(with_masks=True)(LoadImage()(dataset.get_data_info(0)))
        assert results["gt_masks"].masks.shape == (0, 10, 20)
        assert (results["gt_seg_map"] == 0).all()

    def test_mask_of_another_size(self, tmp_path):
        files = InstanceFiles(tmp_path)
        files.add_masks()
        files.annotations[1]["segmentation"] = {"size": [20, 10], "counts": [200]}
        match = r"part1/ü\.jpg': mask of instance 1: the RLE has 20 x 10 .*; repair the annotation, or train with box"
        with pytest.raises(ValueError, match=match):
            load_instances(files, with_masks=True)

    def test_masks_asked_for_and_not_there(self, tmp_path):
        results = LoadImage()(InstanceSegDataset(**InstanceFiles(tmp_path).write()).get_data_info(1))
        with pytest.raises(ValueError, match=r"needs masks, but the dataset reads only boxes; set .*with_masks=False"):
            LoadInstances(with_masks=True)(results)

    def test_image_of_another_size_than_the_json_says(self, tmp_path):
        files = InstanceFiles(tmp_path)
        files.content["images"][1]["height"] = 11
        match = r"source 'o365': '.*part1/ü\.jpg': the annotation has 11 x 20 pixels .* has 10 x 20; use both"
        dataset = InstanceSegDataset(**files.write())
        with pytest.raises(ValueError, match=match):
            LoadInstances()(LoadImage()(dataset.get_data_info(1) | {"source": "o365"}))

    def test_wrong_task(self, tmp_path):
        results = LoadImage()(InstanceSegDataset(**InstanceFiles(tmp_path).write()).get_data_info(1))
        with pytest.raises(
            ValueError, match="LoadInstances makes targets for the task 'instance', but the source's task is"
        ):
            LoadInstances()(results | {"task": Task.PANOPTIC})


@pytest.mark.parametrize("turn", [3, 6])
def test_an_exif_orientation_turns_image_and_label_map_by_one_rule(semantic, turn):
    """Each is turned by the tag in its own file: 3 keeps the size, 6 swaps height and width."""
    root = semantic[0]
    exif = Image.Exif()
    exif[0x0112] = turn
    labels = np.repeat(np.repeat(np.array([[1, 2, 3], [4, 3, 2]], np.uint8), 8, 0), 8, 1)
    Image.fromarray(np.stack([60 * labels] * 3, -1)).save(root / "img/a.jpg", quality=100, exif=exif)
    Image.fromarray(labels).save(root / "ann/a.png", exif=exif)
    dataset = SemanticSegDataset(
        data_root=str(root), img_dir="img", ann_dir="ann", metainfo=METAINFO, zero_is_void=True
    )
    results = LoadSemanticMap()(LoadImage()(dataset.get_data_info(0)))
    assert results["img"].shape[:2] == results["gt_seg_map"].shape == ((16, 24) if turn == 3 else (24, 16))
    shown = np.rint(results["img"][4::8, 4::8, 0] / 60).astype(int) - 1
    assert np.array_equal(results["gt_segment_labels"][results["gt_seg_map"][4::8, 4::8]], shown)
    as_stored = LoadImage(color_type="color_ignore_orientation")(dataset.get_data_info(0))
    assert np.array_equal(np.rint(as_stored["img"][4::8, 4::8, 0] / 60).astype(int), labels[4::8, 4::8])


def test_bitmaps_take_one_byte_per_instance_and_pixel(tmp_path):
    """Not two: masks are decoded one by one into the array that is kept."""
    height, width, number = 300, 400, 40
    files = InstanceFiles(tmp_path)
    polygon = [[5, 5, 390, 5, 390, 290]]
    annotation = {"image_id": 8, "category_id": 1, "bbox": [5, 5, 385, 285], "segmentation": polygon}
    files.annotations[:] = [dict(annotation, id=i + 1) for i in range(number)]
    for image in files.content["images"]:
        image.update(height=height, width=width)
    arguments = files.write()
    write_image(tmp_path / "images/part1/ü.jpg", height, width)
    results = LoadImage()(InstanceSegDataset(**arguments, with_masks=True).get_data_info(1))
    tracemalloc.start()
    found = LoadInstances(with_masks=True)(results)["gt_masks"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = number * height * width
    assert found.masks.nbytes == size
    assert size <= peak < 1.4 * size, "the bitmaps, a few maps of the image, and the polygons"


def test_a_data_info_kept_in_memory_is_not_changed(semantic):
    results = semantic[1] | {"seg_fields": []}
    kept = results["seg_fields"]
    LoadSemanticMap()(results)
    assert kept == []
