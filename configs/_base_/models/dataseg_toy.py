"""DaTaSeg cut down for a CPU: half as wide a ResNet-18-D, from scratch, 64 channels, 20 queries, 3 layers.

Among the backbones tried on the toy boxes alone (region features and a linear classifier), the D variant with batch
normalisation learned to tell shapes apart soonest.
The class loss weighs 10, not 2: colour and shape together are the class, and without pretrained features the gradient
of the masks drowned that of the class (2, 6 and 12 were tried for 300 to 500 iterations, 2 and 10 for 2,000 and more).
"""

_base_ = ["./dataseg_r50.py"]

_attention = dict(embed_dims=64, num_heads=4)
_ffn = dict(embed_dims=64, feedforward_channels=256)
_positions = dict(num_feats=32)

model = dict(
    backbone=dict(
        depth=18,
        base_channels=32,
        deep_stem=True,
        stem_channels=32,
        avg_down=True,
        zero_init_residual=False,
        norm_cfg=dict(requires_grad=True),
        norm_eval=False,
        init_cfg=None,
    ),
    panoptic_head=dict(
        in_channels=[32, 64, 128, 256],
        feat_channels=64,
        out_channels=64,
        num_queries=20,
        positional_encoding=_positions,
        pixel_decoder=dict(
            norm_cfg=dict(num_groups=16),
            positional_encoding=_positions,
            encoder=dict(num_layers=2, layer_cfg=dict(self_attn_cfg=_attention, ffn_cfg=_ffn)),
        ),
        transformer_decoder=dict(
            num_layers=3, layer_cfg=dict(self_attn_cfg=_attention, cross_attn_cfg=_attention, ffn_cfg=_ffn)
        ),
    ),
    classifier=dict(embed_dim=512),
    criterion=dict(num_points=1024, class_weight=10.0),
    postprocessors=dict(panoptic=dict(score_threshold=0.5)),
)
