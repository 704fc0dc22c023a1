"""Mask2Former's schedule for COCO panoptic: 368,750 iterations of 16 images, AdamW, two steps down."""

_base_ = ["../co_training.py", "../runtime.py"]

max_iters = 368750
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="mmdataseg.GroupedOptimWrapperConstructor",
    optimizer=dict(type="AdamW", lr=0.0001, weight_decay=0.05, eps=1e-8, betas=(0.9, 0.999)),
    paramwise_cfg=dict(
        custom_keys=dict(
            backbone=dict(lr_mult=0.1, decay_mult=1.0),
            query_embed=dict(lr_mult=1.0, decay_mult=0.0),
            query_feat=dict(lr_mult=1.0, decay_mult=0.0),
            level_embed=dict(lr_mult=1.0, decay_mult=0.0),
            # these are directions and a temperature: weight decay would only shrink them
            background=dict(lr_mult=1.0, decay_mult=0.0),
            log_scale=dict(lr_mult=1.0, decay_mult=0.0),
            vectors=dict(lr_mult=1.0, decay_mult=0.0),
        ),
        norm_decay_mult=0.0,
    ),
    clip_grad=dict(max_norm=0.01, norm_type=2),
)
param_scheduler = dict(
    type="MultiStepLR", begin=0, end=max_iters, by_epoch=False, milestones=[327778, 355092], gamma=0.1
)
train_cfg = dict(max_iters=max_iters, val_interval=5000)
auto_scale_lr = dict(enable=False, base_batch_size=16)
