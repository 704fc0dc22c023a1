"""A template: photographs of gardens whose trees and sheds have polygons or RLE masks in COCO's format.

Data: python tools/draw_garden.py data/garden, or your own images in the same folders
Text embeddings: python tools/text_embeddings.py --names tree shed --vocabulary garden_things
"""

garden_instances = dict(
    name="garden_instances",
    task="instance",
    supervision="masks",
    label_space=dict(name="garden_things", classes=["tree", "shed"], is_thing=[True, True]),
    embeddings="data/embeddings/garden_things_vit-l-14_openai.safetensors",
    train=dict(
        type="mmdataseg.InstanceSegDataset",
        data_root="data/garden",
        img_dir="images/train",
        ann_file="instances_train.json",
        with_masks=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="mmdataseg.LoadInstances", with_masks=True),
            dict(type="RandomResize", scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
            dict(type="mmdataseg.RandomCrop", size=(512, 512)),
            dict(type="RandomFlip", prob=0.5),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    test=dict(
        type="mmdataseg.InstanceSegDataset",
        data_root="data/garden",
        img_dir="images/val",
        ann_file="instances_val.json",
        with_masks=True,  # for the pictures; the metric reads the masks itself
        test_mode=True,
        pipeline=[
            dict(type="mmdataseg.LoadImage"),
            dict(type="Resize", scale=(2048, 512), keep_ratio=True),
            dict(type="mmdataseg.LoadInstances", with_masks=True, scoring=True),
            dict(type="mmdataseg.PackInputs"),
        ],
    ),
    metrics=[dict(type="mmdataseg.InstanceMetric", ann_file="data/garden/instances_val.json")],
)
