"""DaTaSeg on MobileNetV2 for two CPU cores: 96 channels, 50 queries, 3 encoder and 6 decoder layers.

The weights are TensorFlow's, which pad and normalise images in their own way. `mobilenetv2_timm.py` has timm's.
"""

_base_ = ["../../../../../configs/_base_/models/dataseg_r50.py"]

_attention = dict(embed_dims=96, num_heads=6)
_ffn = dict(embed_dims=96, feedforward_channels=384)
_positions = dict(num_feats=48)

model = dict(
    channels_last=True,  # faster on a CPU, see docs/benchmarks.md
    data_preprocessor=dict(mean=[128.0, 128.0, 128.0], std=[128.0, 128.0, 128.0]),
    backbone=dict(
        _delete_=True,
        type="mmdataseg.TimmBackbone",
        model="mobilenetv2_100",
        out_indices=(1, 2, 3, 4),
        norm_eval=True,
        options=dict(pad_type="same"),
        init_cfg=dict(
            type="Pretrained",
            checkpoint="{{$MMDATASEG_REAL_WORLD:data/real_world}}/weights/mobilenetv2_100_imagenet.safetensors",
        ),
    ),
    panoptic_head=dict(
        in_channels=[24, 32, 96, 320],
        feat_channels=96,
        out_channels=96,
        num_queries=50,
        positional_encoding=_positions,
        pixel_decoder=dict(
            norm_cfg=dict(num_groups=16),
            positional_encoding=_positions,
            encoder=dict(num_layers=3, layer_cfg=dict(self_attn_cfg=_attention, ffn_cfg=_ffn)),
        ),
        transformer_decoder=dict(
            num_layers=6, layer_cfg=dict(self_attn_cfg=_attention, cross_attn_cfg=_attention, ffn_cfg=_ffn)
        ),
    ),
    classifier=dict(embed_dim=512),
    criterion=dict(targets=dict(masks=dict(num_points=1024))),
    postprocessors=dict(panoptic=dict(score_threshold=0.5), instance=dict(max_instances=30)),
)
