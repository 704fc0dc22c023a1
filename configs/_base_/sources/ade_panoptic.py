"""ADE20K panoptic, 100 things and 50 stuff: the 2,000 validation images, tested by PQ.

Weak transfer: models train on ADE20K's label maps (ade_semantic), never on its panoptic segments.
Data: docs/datasets.md, python tools/dataset_converters/ade_panoptic.py
Text embeddings: python tools/text_embeddings.py ade150
"""

ade_panoptic = dict(
    name="ade_panoptic",
    task="panoptic",
    label_space="ade150",
    embeddings="data/embeddings/ade150_vit-l-14_openai.safetensors",
    test=dict(
        type="mmdataseg.PanopticSegDataset",
        data_root="data/ADEChallengeData2016",
        img_dir="images/validation",
        ann_file="panoptic/validation.json",
        ann_dir="panoptic/validation",
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(2560, 640), keep_ratio=True),
            dict(type="mmdataseg.LoadPanopticMap", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[dict(type="mmdataseg.PanopticQualityMetric")],
)
