"""A template: photographs of gardens, 4 classes, few label maps with values 0 = lawn ... 3 = shed, 255 = unlabelled.

Data: python tools/draw_garden.py data/garden, or your own images in the same folders
Text embeddings: python tools/text_embeddings.py --names lawn tree "gravel path" shed --vocabulary garden
"""

garden = dict(
    name="garden",
    task="semantic",
    supervision="masks",
    label_space=dict(
        name="garden",
        classes=["lawn", "tree", "gravel path", "shed"],
        is_thing=[False, True, False, True],
    ),
    embeddings="data/embeddings/garden_vit-l-14_openai.safetensors",
    train=dict(
        type="mmdataseg.SemanticSegDataset",
        data_root="data/garden",
        img_dir="images/train",
        ann_dir="labels/train",
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadSemanticMap"),
            dict(type="RandomResize", scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(512, 512)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    test=dict(
        type="mmdataseg.SemanticSegDataset",
        data_root="data/garden",
        img_dir="images/val",
        ann_dir="labels/val",
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(2048, 512), keep_ratio=True),
            dict(type="mmdataseg.LoadSemanticMap", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[dict(type="mmdataseg.SemanticMetric")],
)
