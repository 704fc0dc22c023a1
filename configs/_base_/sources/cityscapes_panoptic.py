"""Cityscapes panoptic, 8 things and 11 stuff: 500 validation images, tested by PQ. Direct transfer, never trained on.

Data: docs/datasets.md, python tools/dataset_converters/cityscapes_panoptic.py
Text embeddings: python tools/text_embeddings.py cityscapes19
"""

cityscapes_panoptic = dict(
    name="cityscapes_panoptic",
    task="panoptic",
    label_space="cityscapes19",
    embeddings="data/embeddings/cityscapes19_vit-l-14_openai.safetensors",
    test=dict(
        type="mmdataseg.PanopticSegDataset",
        data_root="data/cityscapes",
        img_dir="leftImg8bit/val",
        ann_file="panoptic/val.json",
        ann_dir="panoptic/val",
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(2048, 1024), keep_ratio=True),
            dict(type="mmdataseg.LoadPanopticMap", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[dict(type="mmdataseg.PanopticQualityMetric")],
)
