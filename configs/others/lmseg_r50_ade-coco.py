"""In the style of LMSeg (Zhou et al., ICLR 2023): several semantic sources, text as the classifier.

Ours: not run. This has its co-training and its text classifier, but not its prompts for each category and its
augmentation for each dataset.
Command: mim train mmdataseg configs/others/lmseg_r50_ade-coco.py --launcher pytorch --gpus 8
"""

_base_ = [
    "../_base_/sources/ade_semantic.py",
    "../_base_/sources/coco_semantic.py",
    "../_base_/models/dataseg_r50.py",
    "../_base_/schedules/adamw_368k.py",
]

train_sources = test_sources = [_base_.ade_semantic, _base_.coco_semantic]

model = dict(
    sources=test_sources,
    criterion=dict(merge="none"),
    postprocessors=dict(semantic=dict(merge="probability")),
)
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 4]))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
