r"""Eight real images with boxes only, under 80 of the Objects365 classes, tested on the same images' held-back masks:
does it overfit?

Data: as mini_panoptic
Text embeddings: python tools/text_embeddings.py objects365_coco80 --import-npy \
    $MMDATASEG_MINI_WORLD/text/objects365_80.npy --encoder-name "CLIP ViT-B/16" --templates single --out \
    data/embeddings/mini/objects365_coco80.safetensors
"""

mini_boxes = dict(
    name="mini_boxes",
    task="instance",
    supervision="boxes",
    label_space="objects365_coco80",
    embeddings="data/embeddings/mini/objects365_coco80.safetensors",
    train=dict(
        type="mmdataseg.InstanceSegDataset",
        data_root="{{$MMDATASEG_MINI_WORLD:data/mini_world}}/objects365",
        img_dir="train",
        ann_file="annotations/boxes_train.json",
        indices=8,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadInstances"),
            dict(type="RandomResize", scale=(192, 160), ratio_range=(0.9, 1.1), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(160, 192)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    test=dict(
        type="mmdataseg.InstanceSegDataset",
        data_root="{{$MMDATASEG_MINI_WORLD:data/mini_world}}/objects365",
        img_dir="train",
        ann_file="annotations/instances_train_heldback.json",
        indices=8,
        with_masks=True,
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(192, 160), keep_ratio=True),
            dict(type="mmdataseg.LoadInstances", with_masks=True, scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[
        dict(
            type="mmdataseg.InstanceMetric",
            ann_file="{{$MMDATASEG_MINI_WORLD:data/mini_world}}/objects365/annotations/instances_train_heldback.json",
            fill_boxes=True,
        )
    ],
)
