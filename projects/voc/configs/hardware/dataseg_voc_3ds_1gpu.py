"""dataseg_voc_3ds for one GPU and the whole VOC 2012: larger images, all of val, 20,000 iterations.

Ours: not run at this size. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/hardware/dataseg_voc_3ds_1gpu.py
"""

_base_ = ["./dataseg_voc_3ds_timm.py"]

_sizes = {
    "RandomResize": dict(scale=(512, 384)),
    "Resize": dict(scale=(512, 384)),
    "mmdataseg.RandomCrop": dict(size=(384, 384)),
}
_parts = [
    {
        split: dict(
            source[split], indices=None, pipeline=[dict(s, **_sizes.get(s.type, {})) for s in source[split].pipeline]
        )
        for split in ("train", "test")
    }
    for source in _base_.train_sources
]
train_sources = [
    dict(source, name=f"{source.name}_512", **parts) for source, parts in zip(_base_.train_sources, _parts, strict=True)
]

model = dict(sources=train_sources)
max_iters = 20000
train_dataloader = dict(batch_size=16, num_workers=8, persistent_workers=True, dataset=dict(sources=train_sources))
val_dataloader = dict(num_workers=4, persistent_workers=True, dataset=dict(sources=train_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=train_sources)
test_evaluator = val_evaluator
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, begin=0, end=500, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=500, end=max_iters, T_max=max_iters - 500, eta_min=1e-5, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=5000)
default_hooks = dict(checkpoint=dict(interval=5000))
