"""DaTaSeg reduced for a CPU: a ResNet-18 of half the width, from scratch, 64 channels, 50 queries, 4 layers.

Images are 128 pixels wide and things 26 to 54, so stride 32 is left out: the backbone ends at stride 16, and queries
attend to strides 16 and 8, twice. `PositionChannels` give positions to a backbone that is trained from scratch.

Each choice was compared with its alternative: without position channels, or with 20 queries, a proposal covered all
things of a colour; a stem of three 3x3 convolutions, instead of one 7x7, learned textures much later. The class loss
has weight 4 instead of 2, because classes are learned later than masks here.
"""

_base_ = ["./dataseg_r50.py"]

_attention = dict(embed_dims=64, num_heads=4)
_ffn = dict(embed_dims=64, feedforward_channels=256)
_positions = dict(num_feats=32)

model = dict(
    channels_last=True,  # faster on a CPU, see docs/benchmarks.md
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
