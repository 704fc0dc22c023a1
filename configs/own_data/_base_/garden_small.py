"""A template: the label maps of garden at a size that two CPU cores train on, with embeddings that need no weights.

This file also defines garden.
Data: as garden
Text embeddings: those of garden, with --encoder hashing
"""

_base_ = ["./garden.py"]

garden_small = dict(
    _base_.garden,
    name="garden_small",
    embeddings="data/embeddings/garden_hashing.safetensors",
    train=dict(
        _base_.garden.train,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadSemanticMap"),
            dict(type="RandomResize", scale=(512, 128), ratio_range=(0.8, 1.6), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(128, 128)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    test=dict(
        _base_.garden.test,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(512, 128), keep_ratio=True),
            dict(type="mmdataseg.LoadSemanticMap", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
)
