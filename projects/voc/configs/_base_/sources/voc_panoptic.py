"""PASCAL VOC's objects as panoptic segments: 20 things, and the background as stuff.

Data: projects/voc/README.md. The folder that the environment variable MMDATASEG_REAL_WORLD names, or data/real_world.
"""

voc_panoptic = dict(
    name="voc_panoptic",
    task="panoptic",
    supervision="masks",
    label_space=dict(
        name="voc21",
        classes=[
            "background",
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
        is_thing=[False] + [True] * 20,
    ),
    embeddings="data/embeddings/voc/voc21.safetensors",
    train=dict(
        type="mmdataseg.PanopticSegDataset",
        data_root="{{$MMDATASEG_REAL_WORLD:data/real_world}}/voc",
        img_dir="images/panoptic",
        ann_file="annotations/panoptic_panoptic.json",
        ann_dir="annotations/panoptic_panoptic",
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadPanopticMap"),
            dict(type="RandomResize", scale=(240, 180), ratio_range=(0.8, 1.4), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(160, 160)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    test=dict(
        type="mmdataseg.PanopticSegDataset",
        data_root="{{$MMDATASEG_REAL_WORLD:data/real_world}}/voc",
        img_dir="images/val",
        ann_file="annotations/panoptic_val.json",
        ann_dir="annotations/panoptic_val",
        indices=list(range(0, 400, 2)),
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(240, 180), keep_ratio=True),
            dict(type="mmdataseg.LoadPanopticMap", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[
        dict(
            type="mmdataseg.PanopticQualityMetric",
            errors=True,
            subsets=dict(steady=["cat", "cow", "dog", "horse", "person", "sheep"]),
        )
    ],
)
