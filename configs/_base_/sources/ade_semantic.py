"""ADE20K, 150 classes: 20,210 images with label maps (docs/datasets.md). Scored by mIoU on the 2,000 validation images.

Crop and range of scales are Mask2Former's for ADE20K panoptic, 640 pixels, as the model is tested on both tasks;
Mask2Former's ResNet-50 for the semantic task alone has 512. Neither limits the share of a class in a crop
(docs/method.md).
Data: docs/datasets.md
Text embeddings: python tools/text_embeddings.py ade150
"""

ade_semantic = dict(
    name="ade_semantic",
    task="semantic",
    supervision="masks",
    label_space="ade150",
    embeddings="data/embeddings/ade150_vit-l-14_openai.safetensors",
    train=dict(
        type="mmdataseg.SemanticSegDataset",
        data_root="data/ADEChallengeData2016",
        img_dir="images/training",
        ann_dir="annotations/training",
        zero_is_void=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadSemanticMap"),
            dict(type="PhotoMetricDistortion"),
            dict(type="RandomResize", scale=(2560, 640), ratio_range=(0.5, 2.0), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(640, 640)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    test=dict(
        type="mmdataseg.SemanticSegDataset",
        data_root="data/ADEChallengeData2016",
        img_dir="images/validation",
        ann_dir="annotations/validation",
        zero_is_void=True,
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(2560, 640), keep_ratio=True),
            dict(type="mmdataseg.LoadSemanticMap", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[dict(type="mmdataseg.SemanticMetric")],
)
