"""Toy world, open vocabulary: the words of all names are known from training, their combinations are not. Test only.

Data and text embeddings (of a hashing encoder, a stand-in for CLIP): python -m projects.toy.make_toy data/toy
"""

toy_open = dict(
    name="toy_open",
    task="panoptic",
    label_space=dict(
        name="toy_open",
        classes=[
            "white disc",
            "red square",
            "green triangle",
            "blue cross",
            "yellow ring",
            "purple star",
            "green crescent",
            "wavy sand",
            "checked grass",
            "dotted water",
            "striped floor",
        ],
        is_thing=[True] * 7 + [False] * 4,
    ),
    embeddings="data/toy/embeddings/toy_open.safetensors",
    test=dict(
        type="mmdataseg.PanopticSegDataset",
        data_root="data/toy/toy_open",
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
