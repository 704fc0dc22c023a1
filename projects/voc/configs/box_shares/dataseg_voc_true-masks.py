"""The upper bound of boxes: dataseg_voc_3ds with the masks of the box source, which no other row reads.

Not a row of the paper. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/box_shares/dataseg_voc_true-masks.py
"""

_base_ = ["../dataseg_voc_3ds.py"]

_boxes = _base_.voc_boxes
_steps = [
    dict(step, with_masks=True) if step.type == "mmdataseg.LoadInstances" else step for step in _boxes.train.pipeline
]
_train = dict(_boxes.train, ann_file="annotations/instances_boxes.json", with_masks=True, pipeline=_steps)
true_masks = dict(_boxes, name="voc_true_masks", supervision="masks", train=_train, test=None, metrics=[])
train_sources = [_base_.voc_semantic, _base_.voc_panoptic, true_masks]

model = dict(sources=[*_base_.test_sources, true_masks])
train_dataloader = dict(dataset=dict(sources=train_sources))
