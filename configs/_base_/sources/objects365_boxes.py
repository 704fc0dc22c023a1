"""Objects365 v2, 365 classes: 1.7 million images with boxes only (docs/datasets.md). Scored as
objects365_instances.

Data: docs/datasets.md
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
        path_parts=2,  # "images/v1/patch8/a.jpg" in the file, train/patch8/a.jpg on disk
        leave_out=[  # in the file, but not among the published images (listed in mmdet's datasets/objects365.py)
            "patch16/objects365_v2_00908726.jpg",
            "patch6/objects365_v1_00320532.jpg",
            "patch6/objects365_v1_00320534.jpg",
        ],
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
