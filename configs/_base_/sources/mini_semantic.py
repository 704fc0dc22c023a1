r"""Eight real images with ADE20K label maps, trained on and tested on: does it overfit?

Data: as mini_panoptic
Text embeddings: python tools/text_embeddings.py ade150 --import-npy $MMDATASEG_MINI_WORLD/text/ade150.npy \
    --encoder-name "CLIP ViT-B/16" --templates single --out data/embeddings/mini/ade150.safetensors
"""

mini_semantic = dict(
    name="mini_semantic",
    task="semantic",
    supervision="masks",
    label_space="ade150",
    embeddings="data/embeddings/mini/ade150.safetensors",
    train=dict(
        type="mmdataseg.SemanticSegDataset",
        data_root="{{$MMDATASEG_MINI_WORLD:data/mini_world}}/ade",
        img_dir="images/training",
        ann_dir="annotations/training",
        zero_is_void=True,
        indices=8,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadSemanticMap"),
            dict(type="RandomResize", scale=(192, 160), ratio_range=(0.9, 1.1), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(160, 192)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    test=dict(
        type="mmdataseg.SemanticSegDataset",
        data_root="{{$MMDATASEG_MINI_WORLD:data/mini_world}}/ade",
        img_dir="images/training",
        ann_dir="annotations/training",
        zero_is_void=True,
        indices=8,
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(192, 160), keep_ratio=True),
            dict(type="mmdataseg.LoadSemanticMap", scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[dict(type="mmdataseg.SemanticMetric", chance=20)],
)
