"""COCO panoptic 2017, 80 things and 53 stuff: 118,287 images (docs/datasets.md). Scored by PQ on the 5,000
validation images.

Data: docs/datasets.md
Text embeddings: python tools/text_embeddings.py coco133
"""

coco_panoptic = dict(
    name="coco_panoptic",
    task="panoptic",
    supervision="masks",
    label_space="coco133",
    embeddings="data/embeddings/coco133_vit-l-14_openai.safetensors",
    train=dict(
        type="mmdataseg.PanopticSegDataset",
        data_root="data/coco",
        img_dir="train2017",
        ann_file="annotations/panoptic_train2017.json",
        ann_dir="annotations/panoptic_train2017",
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadPanopticMap"),
            dict(type="RandomResize", scale=(1024, 1024), ratio_range=(0.1, 2.0), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(1024, 1024)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    test=dict(
        type="mmdataseg.PanopticSegDataset",
        data_root="data/coco",
        img_dir="val2017",
        ann_file="annotations/panoptic_val2017.json",
        ann_dir="annotations/panoptic_val2017",
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(1333, 800), keep_ratio=True),
            dict(type="mmdataseg.LoadPanopticMap", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[dict(type="mmdataseg.PanopticQualityMetric")],
)
