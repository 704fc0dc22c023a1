"""Cityscapes semantic, 19 classes: the files of cityscapes_panoptic, read as regions. Scored by mIoU on 500 images.

Data: as cityscapes_panoptic
Text embeddings: python tools/text_embeddings.py cityscapes19
"""

_base_ = ["./cityscapes_panoptic.py"]

cityscapes_semantic = dict(
    _base_.cityscapes_panoptic,
    name="cityscapes_semantic",
    task="semantic",
    metrics=[dict(type="mmdataseg.SemanticMetric")],
)
