r"""Open-vocabulary evaluation in the style of OpenSeg and ODISE: COCO panoptic alone, tested with other vocabularies.

Test only. Of the sets in their tables, this has ADE20K 150 (mIoU, PQ), Pascal Context 59 and 459 (mIoU) and COCO (PQ),
but not ADE20K 847 and Pascal VOC. Ours: not run.
Command: mim test mmdataseg configs/others/openvocabulary_r50_coco.py --checkpoint \
    work_dirs/dataseg_r50_coco/iter_368750.pth
"""

_base_ = [
    "../transfer/dataseg_r50_transfer.py",  # also defines coco_panoptic, from which coco_semantic is derived
    "../_base_/sources/ade_semantic.py",
]

sources = [
    _base_.ade_semantic,
    _base_.ade_panoptic,
    _base_.pascal_context59,
    _base_.pascal_context459,
    _base_.coco_panoptic,
]
model = dict(sources=sources)
test_dataloader = dict(dataset=dict(sources=sources))
test_evaluator = dict(metrics=sources)
