"""DaTaSeg on ViTDet-B (Li et al., 2022). What only a training needs, weights and drop path, is the leaf's."""

_base_ = ["./dataseg_r50.py"]

model = dict(
    backbone=dict(_delete_=True, type="mmdataseg.ViTDet", arch="base", img_size=1024, window_size=14, out_channels=256),
    panoptic_head=dict(in_channels=[256, 256, 256, 256]),
)
