"""DaTaSeg cut down for a CPU: half as wide a ResNet-18, from scratch, 64 channels, 50 queries, 4 layers.

Images are 128 pixels wide and things 26 to 54, so stride 32 is left out: the backbone ends at stride 16, and queries
look at strides 16 and 8, twice. `PositionChannels` tell a backbone that starts from nothing where it is.

Each was tried against its opposite: without position channels, or with 20 queries, a proposal took in all things of a
colour; a stem of three 3x3 convolutions, instead of one 7x7, learned textures much later. The class loss weighs 4, not
2: classes come later than masks here.
"""

_base_ = ["./dataseg_r50.py"]

_attention = dict(embed_dims=64, num_heads=4)
_ffn = dict(embed_dims=64, feedforward_channels=256)
_positions = dict(num_feats=32)

model = dict(
    backbone=dict(
        depth=18,
        base_channels=32,
        stem_channels=32,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
        avg_down=True,
        zero_init_residual=False,
        norm_cfg=dict(requires_grad=True),
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(type="mmdataseg.PositionChannels", num_frequencies=2),
    panoptic_head=dict(
        in_channels=[32 + 10, 64 + 10, 128 + 10],
        feat_channels=64,
        out_channels=64,
        num_queries=50,
        positional_encoding=_positions,
        pixel_decoder=dict(
            num_outs=2,
            strides=[4, 8, 16],
            norm_cfg=dict(num_groups=16),
            positional_encoding=_positions,
            encoder=dict(num_layers=2, layer_cfg=dict(self_attn_cfg=dict(_attention, num_levels=2), ffn_cfg=_ffn)),
        ),
        transformer_decoder=dict(
            num_layers=4, layer_cfg=dict(self_attn_cfg=_attention, cross_attn_cfg=_attention, ffn_cfg=_ffn)
        ),
    ),
    classifier=dict(embed_dim=512),
    criterion=dict(class_weight=4.0, targets=dict(masks=dict(num_points=512))),
    postprocessors=dict(panoptic=dict(score_threshold=0.5)),
)
