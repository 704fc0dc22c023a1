"""Pascal Context, all 459 classes: the 5,105 validation images, tested by mIoU. Direct transfer, never trained on.

Data: docs/datasets.md, python tools/dataset_converters/pascal_context.py
Text embeddings: python tools/text_embeddings.py pascal_context459
"""

pascal_context459 = dict(
    name="pascal_context459",
    task="semantic",
    label_space="pascal_context459",
    embeddings="data/embeddings/pascal_context459_vit-l-14_openai.safetensors",
    test=dict(
        type="mmdataseg.SemanticSegDataset",
        data_root="data/VOCdevkit/VOC2010",
        img_dir="JPEGImages",
        ann_dir="SegmentationClassContext459",
        ann_file="ImageSets/SegmentationContext/val.txt",
        zero_is_void=True,
        ignore_index=None,
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
