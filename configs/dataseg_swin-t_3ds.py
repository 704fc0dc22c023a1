"""DaTaSeg, Swin-T of mmdet: an example of another backbone. Not a row of the paper. Ours: not run.

A backbone must give maps of strides 4 to 32, whose channels are the head's in_channels. If mmpretrain is installed, its
backbones fit in the same way: type="mmpretrain.ConvNeXt".
Weights: swin_tiny_patch4_window7_224.pth of the Swin authors (Liu et al., 2021), put into checkpoints/.
Hardware, memory and hours: not measured.
Command: mim train mmdataseg configs/dataseg_swin-t_3ds.py --launcher pytorch --gpus 8
"""

_base_ = ["./dataseg_r50_3ds.py"]

# as for Mask2Former's Swin backbones: a tenth of the learning rate, and no decay of norms and position tables
_blocks = [f"stages.{stage}.blocks.{block}.norm" for stage, depth in enumerate([2, 2, 6, 2]) for block in range(depth)]
_norms = ["patch_embed.norm", "norm", *[f"stages.{stage}.downsample.norm" for stage in range(3)], *_blocks]
_slow = ["relative_position_bias_table", *[f"backbone.{norm}" for norm in _norms]]

model = dict(
    backbone=dict(
        _delete_=True,
        type="SwinTransformer",  # its defaults are those of Swin-T
        drop_path_rate=0.3,
        convert_weights=True,
        init_cfg=dict(type="Pretrained", checkpoint="checkpoints/swin_tiny_patch4_window7_224.pth"),
    ),
    panoptic_head=dict(in_channels=[96, 192, 384, 768]),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={name: dict(lr_mult=0.1, decay_mult=0.0) for name in _slow}))
