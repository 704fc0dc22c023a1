r"""Tests a model on 110 photographs that it was trained on: how far it fits them, beside its scores on held-out ones.

Not a row of the paper. Data: projects/voc/README.md
Command: mim test mmdataseg projects/voc/configs/training_images/dataseg_voc_3ds_training-images.py --checkpoint \
    work_dirs/dataseg_voc_3ds/iter_900.pth
"""

_base_ = ["../dataseg_voc_3ds.py"]

# the photographs of the panoptic source: their label maps, panoptic segments and masks
_images = dict(img_dir="images/panoptic", indices=110)
_instances = f"{_base_.voc_boxes.test.data_root}/annotations/instances_panoptic.json"
sources = [
    dict(
        _base_.voc_semantic,
        name="voc_semantic_training",
        train=None,
        test=dict(_base_.voc_semantic.test, ann_dir="labels/panoptic", **_images),
    ),
    dict(
        _base_.voc_panoptic,
        name="voc_panoptic_training",
        train=None,
        test=dict(
            _base_.voc_panoptic.test,
            ann_file="annotations/panoptic_panoptic.json",
            ann_dir="annotations/panoptic_panoptic",
            **_images,
        ),
    ),
    dict(
        _base_.voc_boxes,
        name="voc_boxes_training",
        train=None,
        test=dict(_base_.voc_boxes.test, ann_file="annotations/instances_panoptic.json", **_images),
        metrics=[dict(metric, ann_file=_instances) for metric in _base_.voc_boxes.metrics],
    ),
]

model = dict(sources=[*_base_.train_sources, *sources])
test_dataloader = dict(dataset=dict(sources=sources))
test_evaluator = dict(metrics=sources)
# test only
train_cfg = train_dataloader = optim_wrapper = param_scheduler = val_cfg = val_dataloader = val_evaluator = None
