"""A template: garden_instances at a size that two CPU cores train on, with embeddings that need no weights.

This file also defines garden_instances.
Data: as garden_instances
Text embeddings: those of garden_instances, with --encoder hashing
"""

_base_ = ["./garden_instances.py"]

garden_instances_small = dict(
    _base_.garden_instances,
    name="garden_instances_small",
    embeddings="data/embeddings/garden_things_hashing.safetensors",
    train=dict(
        _base_.garden_instances.train,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadInstances", with_masks=True),
            dict(type="RandomResize", scale=(512, 128), ratio_range=(0.8, 1.6), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(128, 128)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    test=dict(
        _base_.garden_instances.test,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(512, 128), keep_ratio=True),
            dict(type="mmdataseg.LoadInstances", with_masks=True, scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
)
