"""Toy world, weak transfer: the validation images of toy_semantic, scored as panoptic. Test only.

Data and text embeddings (of a hashing encoder, a stand-in for CLIP): python -m projects.toy.make_toy
"""

toy_semantic_as_panoptic = dict(
    name="toy_semantic_as_panoptic",
    task="panoptic",
    label_space=dict(
        name="toy_semantic",
        classes=[
            *["striped sand", "dotted sand", "grass", "wavy water", "checked floor"],
            *["red round disc", "blue round disc", "yellow round disc"],
            *["green square tile", "yellow square tile", "purple square tile"],
            *["red triangle", "blue triangle", "purple triangle"],
            *["green cross", "green star", "white star"],
        ],
        is_thing=[False] * 5 + [True] * 12,
    ),
    embeddings="data/toy/embeddings/toy_semantic.safetensors",
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
