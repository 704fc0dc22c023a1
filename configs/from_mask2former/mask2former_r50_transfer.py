r"""Direct transfer of a Mask2Former, ResNet-50, trained on COCO panoptic: other words, nothing trained. Test only.

Ours: not run. What to expect of words it was not trained on: docs/start_from_mask2former.md.
Command: mim test mmdataseg configs/from_mask2former/mask2former_r50_transfer.py --checkpoint \
    work_dirs/mask2former_r50_coco-panoptic/converted.pth
"""

_base_ = [
    "./mask2former_r50_coco-panoptic.py",
    "../_base_/sources/ade_semantic.py",
    "../_base_/sources/ade_panoptic.py",
    "../_base_/sources/cityscapes_panoptic.py",
    "../_base_/sources/pascal_context459.py",  # has pascal_context59, too: it is made of it
    "../_base_/sources/objects365_instances.py",
]

sources = [
    *[_base_.ade_semantic, _base_.ade_panoptic, _base_.cityscapes_panoptic],
    *[_base_.pascal_context59, _base_.pascal_context459, _base_.objects365_instances],
]
model = dict(sources=sources)
test_dataloader = dict(dataset=dict(sources=sources))
test_evaluator = dict(metrics=sources)
