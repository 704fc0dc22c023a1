"""Toy world, label maps as in ADE20K: few images, so that the effect of the other sources shows.

Data and text embeddings (of a hashing encoder, a stand-in for CLIP): python -m projects.toy.make_toy data/toy
"""

# Colours are part of the names: no augmentation may change a hue or swap channels, as PhotoMetricDistortion does.
toy_semantic = dict(
    name="toy_semantic",
    task="semantic",
    supervision="masks",
    label_space=dict(
        name="toy_semantic",
        classes=[
            "striped sand",
            "dotted sand",
            "grass",
            "wavy water",
            "checked floor",
            "red round disc",
            "blue round disc",
            "yellow round disc",
            "green square tile",
            "yellow square tile",
            "purple square tile",
            "red triangle",
            "blue triangle",
            "purple triangle",
            "green cross",
            "green star",
            "white star",
        ],
        is_thing=[False] * 5 + [True] * 12,
    ),
    embeddings="data/toy/embeddings/toy_semantic.safetensors",
    train=dict(
        type="mmdataseg.SemanticSegDataset",
        data_root="data/toy/toy_semantic",
        img_dir="images/training",
        ann_dir="annotations/training",
        zero_is_void=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadSemanticMap"),
            # Before crop and flip: it writes into the image, which must be contiguous.
            dict(type="YOLOXHSVRandomAug", hue_delta=0, saturation_delta=12, value_delta=20),
            dict(type="RandomResize", scale=(128, 128), ratio_range=(0.8, 1.6), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(128, 128), max_class_share=0.9),
            # no class of the toy world depends on which way is up
            dict(type="RandomFlip", prob=[0.25] * 3, direction=["horizontal", "vertical", "diagonal"]),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    test=dict(
        type="mmdataseg.SemanticSegDataset",
        data_root="data/toy/toy_semantic",
        img_dir="images/validation",
        ann_dir="annotations/validation",
        zero_is_void=True,
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(128, 128), keep_ratio=True),
            dict(type="mmdataseg.LoadSemanticMap", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[dict(type="mmdataseg.SemanticMetric", chance=20)],
)
