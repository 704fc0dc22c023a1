"""Fine-tuning on a CPU: 900 iterations of 8 images, 50 of warm-up, cosine down; the backbone learns at a tenth."""

_base_ = [
    "../../../../../configs/_base_/co_training.py",
    "../../../../../configs/_base_/runtime.py",
]

max_iters = 900
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="mmdataseg.GroupedOptimWrapperConstructor",
    optimizer=dict(type="AdamW", lr=5e-4, weight_decay=0.05, eps=1e-8, betas=(0.9, 0.999)),
    paramwise_cfg=dict(
        custom_keys=dict(
            backbone=dict(lr_mult=0.1),
            query_embed=dict(decay_mult=0.0),
            query_feat=dict(decay_mult=0.0),
            level_embed=dict(decay_mult=0.0),
            background=dict(decay_mult=0.0),
            log_scale=dict(decay_mult=0.0),
            vectors=dict(decay_mult=0.0),
        ),
        norm_decay_mult=0.0,
    ),
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, begin=0, end=50, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=50, end=max_iters, T_max=max_iters - 50, eta_min=1e-5, by_epoch=False),
]
# a worker would compete with the training for the same two cores
train_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False)
val_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=100, max_keep_ckpts=2))
log_processor = dict(window_size=20)
