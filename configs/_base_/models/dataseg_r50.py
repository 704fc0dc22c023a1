"""DaTaSeg on ResNet-50 (Gu et al., 2023), with Mask2Former's decoders and their published sizes. The leaf config names
the sources."""

_attention = dict(embed_dims=256, num_heads=8, dropout=0.0, batch_first=True)
# not in place: the output of a linear layer is a view, and autograd copies the gradients of views that are overwritten
_relu = dict(type="ReLU", inplace=False)
_positions = dict(num_feats=128, normalize=True)

model = dict(
    type="mmdataseg.DaTaSeg",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
        pad_mask=False,
        pad_seg=False,
    ),
    backbone=dict(
        type="ResNet",
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_cfg=dict(type="BN", requires_grad=False),
        norm_eval=True,
        style="pytorch",
        init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet50"),
    ),
    panoptic_head=dict(
        type="mmdataseg.DaTaSegHead",
        in_channels=[256, 512, 1024, 2048],
        feat_channels=256,
        out_channels=256,
        num_queries=100,
        positional_encoding=_positions,
        pixel_decoder=dict(
            type="mmdataseg.MSDeformAttnPixelDecoder",
            num_outs=3,
            norm_cfg=dict(type="GN", num_groups=32),
            act_cfg=dict(type="ReLU"),
            encoder=dict(
                num_layers=6,
                layer_cfg=dict(
                    self_attn_cfg=dict(_attention, num_levels=3, num_points=4),
                    ffn_cfg=dict(embed_dims=256, feedforward_channels=1024, num_fcs=2, ffn_drop=0.0, act_cfg=_relu),
                ),
            ),
            positional_encoding=_positions,
        ),
        transformer_decoder=dict(
            return_intermediate=True,
            num_layers=9,
            layer_cfg=dict(
                self_attn_cfg=_attention,
                cross_attn_cfg=_attention,
                ffn_cfg=dict(embed_dims=256, feedforward_channels=2048, num_fcs=2, ffn_drop=0.0, act_cfg=_relu),
            ),
            init_cfg=None,
        ),
    ),
    classifier=dict(type="mmdataseg.TextClassifier", embed_dim=768),
    criterion=dict(
        type="mmdataseg.DaTaSegCriterion",
        class_weight=2.0,
        background_weight=0.1,
        merge="before_matching",
        targets=dict(
            masks=dict(
                type="mmdataseg.MaskTargets",
                focal_weight=20.0,
                dice_weight=5.0,
                num_points=12544,
                oversample_ratio=3.0,
                importance_ratio=0.75,
            ),
            boxes=dict(
                type="mmdataseg.BoxTargets",
                loss=dict(type="mmdataseg.BoxProjectionLoss", loss_weight=5.0),
                cost=dict(type="mmdataseg.BoxProjectionCost", weight=5.0),
            ),
        ),
    ),
    postprocessors=dict(
        panoptic=dict(type="mmdataseg.PanopticPostProcessor", score_threshold=0.8, kept_share=0.8),
        semantic=dict(type="mmdataseg.SemanticPostProcessor", merge="max"),
        instance=dict(type="mmdataseg.InstancePostProcessor", max_instances=100),
    ),
)
