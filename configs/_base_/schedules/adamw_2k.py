"""Training from scratch on a CPU: 2,000 iterations of 8 images, linear warm-up, cosine down."""

_base_ = ["../co_training.py", "../runtime.py"]

max_iters = 2000
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="mmdataseg.GroupedOptimWrapperConstructor",
    optimizer=dict(type="AdamW", lr=0.001, weight_decay=0.05, eps=1e-8, betas=(0.9, 0.999)),
    paramwise_cfg=dict(
        custom_keys=dict(
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
    dict(type="LinearLR", start_factor=0.01, begin=0, end=100, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=100, end=max_iters, T_max=max_iters - 100, eta_min=1e-5, by_epoch=False),
]
train_dataloader = dict(batch_size=8, num_workers=1)
val_dataloader = dict(batch_size=8, num_workers=1)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=200, max_keep_ckpts=2))
log_processor = dict(window_size=20)
