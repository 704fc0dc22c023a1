"""DaTaSeg cut down for a CPU: ResNet-18 from scratch with group normalisation, 64 channels, 20 queries, 3 layers."""

_base_ = ["./dataseg_r50.py"]

_norm = dict(type="GN", num_groups=16)
_attention = dict(embed_dims=64, num_heads=4)
_ffn = dict(embed_dims=64, feedforward_channels=256)
_positions = dict(num_feats=32)

model = dict(
    backbone=dict(depth=18, norm_cfg=dict(_delete_=True, **_norm), norm_eval=False, init_cfg=None),
    panoptic_head=dict(
        in_channels=[64, 128, 256, 512],
        feat_channels=64,
        out_channels=64,
        num_queries=20,
        positional_encoding=_positions,
        pixel_decoder=dict(
            norm_cfg=_norm,
            positional_encoding=_positions,
            encoder=dict(num_layers=2, layer_cfg=dict(self_attn_cfg=_attention, ffn_cfg=_ffn)),
        ),
        transformer_decoder=dict(
            num_layers=3, layer_cfg=dict(self_attn_cfg=_attention, cross_attn_cfg=_attention, ffn_cfg=_ffn)
        ),
    ),
    classifier=dict(embed_dim=512),
    criterion=dict(num_points=1024),
    postprocessors=dict(panoptic=dict(score_threshold=0.5)),
)
