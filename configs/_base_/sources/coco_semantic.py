"""COCO semantic, derived from panoptic, 133 classes: the files of coco_panoptic, read as they are. Scored by mIoU on
the 5,000 validation images.

Segments of one class are one region. Crowds, whose class is known, belong to that class in the test and are void in
training; unlabelled pixels are not counted. A model that trains on coco_panoptic has seen these classes and these
training images: its mIoU here does not measure transfer to an unseen dataset.
Data: as coco_panoptic
Text embeddings: python tools/text_embeddings.py coco133
"""

_base_ = ["./coco_panoptic.py"]

coco_semantic = dict(
    _base_.coco_panoptic, name="coco_semantic", task="semantic", metrics=[dict(type="mmdataseg.SemanticMetric")]
)
