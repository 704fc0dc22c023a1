r"""Eight real images with COCO panoptic segments, trained on and tested on: does it overfit?

Data: small parts of ADE20K, COCO and Objects365 in their official layouts, below the folder that the environment
variable MMDATASEG_MINI_WORLD names (docs/datasets.md)
Text embeddings: python tools/text_embeddings.py coco133 --import-npy $MMDATASEG_MINI_WORLD/text/coco133.npy \
    --encoder-name "CLIP ViT-B/16" --templates single --out data/embeddings/mini/coco133.safetensors
"""

mini_panoptic = dict(
    name="mini_panoptic",
    task="panoptic",
    supervision="masks",
    label_space="coco133",
    embeddings="data/embeddings/mini/coco133.safetensors",
    train=dict(
        type="mmdataseg.PanopticSegDataset",
        data_root="{{$MMDATASEG_MINI_WORLD:data/mini_world}}/coco",
        img_dir="train2017",
        ann_file="annotations/panoptic_train2017.json",
        ann_dir="annotations/panoptic_train2017",
        indices=8,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadPanopticMap"),
            dict(type="RandomResize", scale=(192, 160), ratio_range=(0.9, 1.1), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(160, 192)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    test=dict(
        type="mmdataseg.PanopticSegDataset",
        data_root="{{$MMDATASEG_MINI_WORLD:data/mini_world}}/coco",
        img_dir="train2017",
        ann_file="annotations/panoptic_train2017.json",
        ann_dir="annotations/panoptic_train2017",
        indices=8,
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(192, 160), keep_ratio=True),
            dict(type="mmdataseg.LoadPanopticMap", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[dict(type="mmdataseg.PanopticQualityMetric", chance=20)],
)
