r"""Direct transfer of a trained ResNet-50 model: other names, other thing flags, no other weights. Test only.

Paper (Gu et al., NeurIPS 2023, direct transfer): Pascal Context mIoU 59 classes 50.9, 459 classes 11.1, COCO mIoU 57.7,
Cityscapes PQ 30.0. Ours: not run.
COCO mIoU is no transfer to an unseen dataset: the model was trained on COCO panoptic, and the paper prints it in grey.
ADE panoptic is weak transfer: trained on ADE20K's label maps, never on its panoptic segments.
Command: mim test mmdataseg configs/transfer/dataseg_r50_transfer.py --checkpoint \
    work_dirs/dataseg_r50_3ds/iter_368750.pth
"""

_base_ = [
    "../_base_/sources/pascal_context59.py",
    "../_base_/sources/pascal_context459.py",
    "../_base_/sources/coco_semantic.py",
    "../_base_/sources/cityscapes_panoptic.py",
    "../_base_/sources/ade_panoptic.py",
    "../_base_/models/dataseg_r50.py",
    "../_base_/schedules/adamw_368k.py",
]

sources = [
    *[_base_.pascal_context59, _base_.pascal_context459, _base_.coco_semantic],
    *[_base_.cityscapes_panoptic, _base_.ade_panoptic],
]
model = dict(sources=sources)
test_dataloader = dict(dataset=dict(sources=sources))
test_evaluator = dict(metrics=sources)
# test only
train_cfg = train_dataloader = optim_wrapper = param_scheduler = val_cfg = val_dataloader = val_evaluator = None
