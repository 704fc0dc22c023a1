"""CamVid's street scenes: a small source of another vocabulary, or a vocabulary that no training here has (transfer).

Neighbouring frames are alike, so every second one is tested.
Data: projects/voc/README.md. The folder that the environment variable MMDATASEG_REAL_WORLD names, or data/real_world.
"""

camvid_semantic = dict(
    name="camvid_semantic",
    task="semantic",
    supervision="masks",
    label_space=dict(
        name="camvid11",
        classes=[
            "sky",
            "building",
            "pole",
            "road",
            "sidewalk",
            "tree",
            "traffic sign",
            "fence",
            "car",
            "pedestrian",
            "bicyclist",
        ],
        is_thing=[False] * 8 + [True] * 3,
    ),
    embeddings="data/embeddings/voc/camvid11.safetensors",
    train=dict(
        type="mmdataseg.SemanticSegDataset",
        data_root="{{$MMDATASEG_REAL_WORLD:data/real_world}}/camvid",
        img_dir="images/train",
        ann_dir="labels/train",
        zero_is_void=True,
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
        data_root="{{$MMDATASEG_REAL_WORLD:data/real_world}}/camvid",
        img_dir="images/val",
        ann_dir="labels/val",
        zero_is_void=True,
        indices=list(range(0, 100, 2)),
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(240, 180), keep_ratio=True),
            dict(type="mmdataseg.LoadSemanticMap", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[dict(type="mmdataseg.SemanticMetric")],
)
