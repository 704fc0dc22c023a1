"""Objects365 v2 instances: 1,000 validation images with masks (Gu et al., 2023), tested by mask AP.

Data: docs/datasets.md, python tools/dataset_converters/objects365_instances.py
Text embeddings: python tools/text_embeddings.py objects365
"""

objects365_instances = dict(
    name="objects365_instances",
    task="instance",
    label_space="objects365",
    embeddings="data/embeddings/objects365_vit-l-14_openai.safetensors",
    test=dict(
        type="mmdataseg.InstanceSegDataset",
        data_root="data/objects365",
        img_dir="val",
        ann_file="annotations/instances_val_1000.json",
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(1333, 800), keep_ratio=True),
            dict(type="mmdataseg.LoadInstances", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[
        dict(type="mmdataseg.InstanceMetric", ann_file="data/objects365/annotations/instances_val_1000.json"),
    ],
)
