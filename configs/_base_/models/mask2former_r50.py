"""DaTaSeg in the form that a published Mask2Former converts to: a linear map to class embeddings, not normalised.

After ``convert --ridge 0`` the probabilities over its own classes are the original's. The panoptic and the
semantic answer are read by mmdet's and mmseg's rules.
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
