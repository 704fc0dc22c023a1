"""COCO semantic, derived from panoptic: the 5,000 validation images, 133 classes, tested by mIoU. Never trained on.

Segments of one class count as one region; so do crowds, whose class is known. Unlabelled pixels count for nothing.
The files are those of coco_panoptic, read as they are.
Text embeddings: python tools/text_embeddings.py coco133
"""

coco_semantic = dict(
    name="coco_semantic",
    task="semantic",
    label_space="coco133",
    embeddings="data/embeddings/coco133_vit-l-14_openai.safetensors",
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
    metrics=[dict(type="mmdataseg.SemanticMetric")],
)
