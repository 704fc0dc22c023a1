"""PASCAL VOC's boxes, tested against masks that no training reads.

The second metric scores only the steady classes, once with the predicted masks and once with every mask replaced by
its box: the difference shows what the masks have learned.
Data: projects/voc/README.md. The folder that the environment variable MMDATASEG_REAL_WORLD names, or data/real_world.
"""

voc_boxes = dict(
    name="voc_boxes",
    task="instance",
    supervision="boxes",
    label_space=dict(
        name="voc20",
        classes=[
            "aeroplane",
            "bicycle",
            "bird",
            "boat",
            "bottle",
            "bus",
            "car",
            "cat",
            "chair",
            "cow",
            "dining table",
            "dog",
            "horse",
            "motorbike",
            "person",
            "potted plant",
            "sheep",
            "sofa",
            "train",
            "tv monitor",
        ],
        is_thing=[True] * 20,
    ),
    embeddings="data/embeddings/voc/voc20.safetensors",
    train=dict(
        type="mmdataseg.InstanceSegDataset",
        data_root="{{$MMDATASEG_REAL_WORLD:data/real_world}}/voc",
        img_dir="images/boxes",
        ann_file="annotations/boxes_boxes.json",
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadInstances"),
            dict(type="RandomResize", scale=(240, 180), ratio_range=(0.8, 1.4), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(160, 160)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    test=dict(
        type="mmdataseg.InstanceSegDataset",
        data_root="{{$MMDATASEG_REAL_WORLD:data/real_world}}/voc",
        img_dir="images/val",
        ann_file="annotations/instances_val.json",
        indices=list(range(0, 400, 2)),
        with_masks=True,
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(240, 180), keep_ratio=True),
            dict(type="mmdataseg.LoadInstances", with_masks=True, scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[
        dict(
            type="mmdataseg.InstanceMetric",
            ann_file="{{$MMDATASEG_REAL_WORLD:data/real_world}}/voc/annotations/instances_val.json",
        ),
        dict(
            type="mmdataseg.InstanceMetric",
            ann_file="{{$MMDATASEG_REAL_WORLD:data/real_world}}/voc/annotations/instances_val.json",
            classes=["cat", "cow", "dog", "horse", "person", "sheep"],
            fill_boxes=True,
            prefix="steady",
        ),
    ],
)
