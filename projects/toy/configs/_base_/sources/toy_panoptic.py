"""Toy world, panoptic segments as in COCO, with crowds and unlabelled regions.

Data and text embeddings (of a hashing encoder, a stand-in for CLIP): python -m projects.toy.make_toy data/toy
"""

toy_panoptic = dict(
    name="toy_panoptic",
    task="panoptic",
    supervision="masks",
    label_space=dict(
        name="toy_panoptic",
        classes=[
            "red disc",
            "green disc",
            "blue disc",
            "green square",
            "blue square",
            "yellow square",
            "white square",
            "red triangle",
            "yellow triangle",
            "purple triangle",
            "red cross",
            "yellow cross",
            "purple cross",
            "blue ring",
            "white ring",
            "sand",
            "dotted grass",
            "striped grass",
            "water",
            "brick wall",
        ],
        is_thing=[True] * 15 + [False] * 5,
    ),
    embeddings="data/toy/embeddings/toy_panoptic.safetensors",
    train=dict(
        type="mmdataseg.PanopticSegDataset",
        data_root="data/toy/toy_panoptic",
        img_dir="train",
        ann_file="annotations/panoptic_train.json",
        ann_dir="annotations/panoptic_train",
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadPanopticMap"),
            dict(type="RandomResize", scale=(128, 128), ratio_range=(0.75, 1.5), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(128, 128)),
            # no class of the toy world depends on which way is up
            dict(type="RandomFlip", prob=[0.25] * 3, direction=["horizontal", "vertical", "diagonal"]),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    test=dict(
        type="mmdataseg.PanopticSegDataset",
        data_root="data/toy/toy_panoptic",
        img_dir="val",
        ann_file="annotations/panoptic_val.json",
        ann_dir="annotations/panoptic_val",
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(128, 128), keep_ratio=True),
            dict(type="mmdataseg.LoadPanopticMap", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[dict(type="mmdataseg.PanopticQualityMetric", chance=20)],
)
