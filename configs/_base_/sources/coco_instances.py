"""COCO 2017 instances, 80 things: 118,287 images with masks, scored by mask AP on the 5,000 validation images.

Data: docs/datasets.md
Text embeddings: python tools/text_embeddings.py coco80
"""

coco_instances = dict(
    name="coco_instances",
    task="instance",
    label_space="coco80",
    embeddings="data/embeddings/coco80_vit-l-14_openai.safetensors",
    test=dict(
        type="mmdataseg.InstanceSegDataset",
        data_root="data/coco",
        img_dir="val2017",
        ann_file="annotations/instances_val2017.json",
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(1333, 800), keep_ratio=True),
            dict(type="mmdataseg.LoadInstances", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[dict(type="mmdataseg.InstanceMetric", ann_file="data/coco/annotations/instances_val2017.json")],
)
