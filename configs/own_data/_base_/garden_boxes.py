"""A template: many photographs of gardens with boxes around trees and sheds, with the vocabulary of garden.

This file also defines garden.
Data: as garden
"""

_base_ = ["./garden.py"]

garden_boxes = dict(
    name="garden_boxes",
    task="instance",
    supervision="boxes",
    label_space=_base_.garden.label_space,  # one vocabulary, written once
    embeddings=_base_.garden.embeddings,
    train=dict(
        type="mmdataseg.InstanceSegDataset",
        data_root="data/garden",
        img_dir="images/boxes",
        ann_file="boxes_train.json",
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadInstances"),
            dict(type="RandomResize", scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(512, 512)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
)
