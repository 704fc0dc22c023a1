"""Toy world, boxes as in Objects365; scored against true masks that no training reads.

The second metric scores the classes that have masks in no training source, once with the predicted masks and once with
every mask replaced by its box: the difference shows what the masks have learned.
Data and text embeddings (of a hashing encoder, a stand-in for CLIP): python -m projects.toy.make_toy data/toy
"""

toy_boxes = dict(
    name="toy_boxes",
    task="instance",
    supervision="boxes",
    label_space=dict(
        name="toy_boxes",
        classes=[
            "green disc",
            "blue disc",
            "purple disc",
            "yellow square",
            "white square",
            "yellow pointed triangle",
            "purple pointed triangle",
            "red plus cross",
            "white plus cross",
            "red round ring",
            "green round ring",
            "purple round ring",
            "white round ring",
            "red pointed star",
            "blue pointed star",
            "yellow pointed star",
            "red crescent moon",
            "yellow crescent moon",
            "purple crescent moon",
            "white crescent moon",
        ],
        is_thing=[True] * 20,
    ),
    embeddings="data/toy/embeddings/toy_boxes.safetensors",
    train=dict(
        type="mmdataseg.InstanceSegDataset",
        data_root="data/toy/toy_boxes",
        img_dir="train",
        ann_file="annotations/boxes_train.json",
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadInstances"),
            dict(type="RandomResize", scale=(128, 128), ratio_range=(0.8, 1.25), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(128, 128)),
            # no class of the toy world depends on which way is up
            dict(type="RandomFlip", prob=[0.25] * 3, direction=["horizontal", "vertical", "diagonal"]),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    test=dict(
        type="mmdataseg.InstanceSegDataset",
        data_root="data/toy/toy_boxes",
        img_dir="val",
        ann_file="true_masks/instances_val.json",
        with_masks=True,
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(128, 128), keep_ratio=True),
            dict(type="mmdataseg.LoadInstances", with_masks=True, scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[
        dict(type="mmdataseg.InstanceMetric", ann_file="data/toy/toy_boxes/true_masks/instances_val.json"),
        dict(
            type="mmdataseg.InstanceMetric",
            ann_file="data/toy/toy_boxes/true_masks/instances_val.json",
            classes=[
                "purple disc",
                "white plus cross",
                "red round ring",
                "green round ring",
                "purple round ring",
                "red pointed star",
                "blue pointed star",
                "yellow pointed star",
                "red crescent moon",
                "yellow crescent moon",
                "purple crescent moon",
                "white crescent moon",
            ],
            fill_boxes=True,
            prefix="box_only",
        ),
    ],
)
