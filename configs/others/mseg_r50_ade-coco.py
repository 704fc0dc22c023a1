"""In the style of MSeg (Lambert et al., CVPR 2020): semantic sources under one manual taxonomy.

Ours: not run. One learned classifier. The taxonomy is ours, a label map in the source files; MSeg also relabelled
images.
Command: mim train mmdataseg configs/others/mseg_r50_ade-coco.py --launcher pytorch --gpus 8
"""

_base_ = [
    "../_base_/sources/merged_coco.py",
    "../_base_/models/dataseg_r50.py",
    "../_base_/schedules/adamw_368k.py",
]

train_sources = test_sources = [_base_.merged_ade, _base_.merged_coco]

model = dict(
    sources=test_sources,
    classifier=dict(type="mmdataseg.LearnedClassifier", embed_dim=256),
    criterion=dict(merge="none"),
    postprocessors=dict(semantic=dict(merge="probability")),
)
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 4]))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
