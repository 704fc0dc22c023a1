"""Objects365 v2, 365 classes: 1.7 million images with boxes only (docs/datasets.md). Trained on; scored as objects365_instances.

Text embeddings: python tools/text_embeddings.py objects365
"""

objects365_boxes = dict(
    name="objects365_boxes",
    task="instance",
    supervision="boxes",
    label_space="objects365",
    embeddings="data/embeddings/objects365_vit-l-14_openai.safetensors",
    train=dict(
        type="mmdataseg.InstanceSegDataset",
        data_root="data/objects365",
        img_dir="train",
        ann_file="annotations/zhiyuan_objv2_train.json",
        cache_dir="cache",
        drop_bad_boxes=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadInstances"),
            dict(type="RandomResize", scale=(1024, 1024), ratio_range=(0.1, 2.0), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(1024, 1024)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
)
