"""Pascal Context, all 459 classes: the 5,105 validation images, tested by mIoU. Direct transfer, never trained on.

A config that names this file has pascal_context59, too.
Data: docs/datasets.md, python tools/dataset_converters/pascal_context.py
Text embeddings: python tools/text_embeddings.py pascal_context459
"""

_base_ = ["./pascal_context59.py"]

pascal_context459 = dict(
    _base_.pascal_context59,
    name="pascal_context459",
    label_space="pascal_context459",
    embeddings="data/embeddings/pascal_context459_vit-l-14_openai.safetensors",
    # 459 values need 16 bits, in which 255 is a class
    test=dict(_base_.pascal_context59.test, ann_dir="SegmentationClassContext459", ignore_index=None),
)
