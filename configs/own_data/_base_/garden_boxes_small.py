"""A template: photographs of gardens with boxes, with the vocabulary of garden_instances_small and at its size.

This file also defines garden_instances and garden_instances_small.
Data: as garden
Text embeddings: as garden_instances_small
"""

_base_ = ["./garden_instances_small.py"]

garden_boxes_small = dict(
    name="garden_boxes_small",
    task="instance",
    supervision="boxes",
    label_space=_base_.garden_instances_small.label_space,  # one vocabulary, written once
    embeddings=_base_.garden_instances_small.embeddings,
    train=dict(
        type="mmdataseg.InstanceSegDataset",
        data_root="data/garden",
        img_dir="images/boxes",
        ann_file="boxes_train.json",
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadInstances"),
            dict(type="RandomResize", scale=(512, 128), ratio_range=(0.8, 1.6), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(128, 128)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
)
