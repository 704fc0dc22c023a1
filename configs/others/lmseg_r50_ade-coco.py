"""In the manner of LMSeg (Zhou et al., ICLR 2023): several semantic sources, text as the classifier.

Ours: not run. Only what co-training and text make of it: its prompts for each category and its augmentation for
each dataset are not here.
Command: mim train mmdataseg configs/others/lmseg_r50_ade-coco.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

coco_semantic = dict(
    _base_.coco_panoptic, name="coco_semantic", task="semantic", metrics=[dict(type="mmdataseg.SemanticMetric")]
)
train_sources = test_sources = [_base_.ade_semantic, coco_semantic]

model = dict(sources=test_sources, criterion=dict(merge="none"))
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 4]))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
