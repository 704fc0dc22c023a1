"""Toy world, weak transfer: the validation images of toy_semantic, scored as panoptic. Test only.

This file also defines toy_semantic.
Data and text embeddings (of a hashing encoder, a stand-in for CLIP): python -m projects.toy.make_toy data/toy
"""

_base_ = ["./toy_semantic.py"]

toy_semantic_as_panoptic = dict(
    name="toy_semantic_as_panoptic",
    task="panoptic",
    label_space=_base_.toy_semantic.label_space,
    embeddings=_base_.toy_semantic.embeddings,
    test=dict(
        type="mmdataseg.PanopticSegDataset",
        data_root="data/toy/toy_semantic",
        img_dir="images/validation",
        ann_file="annotations/panoptic_validation.json",
        ann_dir="annotations/panoptic_validation",
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(128, 128), keep_ratio=True),
            dict(type="mmdataseg.LoadPanopticMap", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[dict(type="mmdataseg.PanopticQualityMetric", chance=20)],
)
