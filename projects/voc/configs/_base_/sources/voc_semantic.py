"""PASCAL VOC's label maps. Background is a class: nothing else of an image says what the 20 classes are not.

The test images are every second one of the first 400, the same as those of voc_panoptic and voc_boxes. The steady
classes are those of which the small set has more than 50 objects.
Data: projects/voc/README.md. The folder that the environment variable MMDATASEG_REAL_WORLD names, or data/real_world.
"""

voc_semantic = dict(
    name="voc_semantic",
    task="semantic",
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
        type="mmdataseg.SemanticSegDataset",
        data_root="{{$MMDATASEG_REAL_WORLD:data/real_world}}/voc",
        img_dir="images/semantic",
        ann_dir="labels/semantic",
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadSemanticMap"),
            dict(type="RandomResize", scale=(240, 180), ratio_range=(0.8, 1.4), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(160, 160)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    test=dict(
        type="mmdataseg.SemanticSegDataset",
        data_root="{{$MMDATASEG_REAL_WORLD:data/real_world}}/voc",
        img_dir="images/val",
        ann_dir="labels/val",
        indices=list(range(0, 400, 2)),
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(240, 180), keep_ratio=True),
            dict(type="mmdataseg.LoadSemanticMap", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[
        dict(
            type="mmdataseg.SemanticMetric",
            subsets=dict(steady=["cat", "cow", "dog", "horse", "person", "sheep"]),
        )
    ],
)
