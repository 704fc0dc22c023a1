"""DaTaSeg in the form that a published Mask2Former converts to: a linear map to class embeddings, not normalised.

A converted model has the original's probabilities for its trained classes. Panoptic results follow mmdet's rules, and
semantic results mmseg's.
"""

_base_ = ["./dataseg_r50.py"]

model = dict(
    backbone=dict(init_cfg=None),
    panoptic_head=dict(class_embed_layers=1),
    classifier=dict(normalize=False),
    postprocessors=dict(
        panoptic=dict(type="mmdataseg.FusionPanopticPostProcessor"), semantic=dict(merge="probability")
    ),
)
