"""In the style of Mask2Former (Cheng et al., CVPR 2022): one panoptic source, a learned classifier.

No text, no MERGE in training; binary cross-entropy and dice.
PQ of mmdet's training of it (its metafile: ResNet-50, 50 epochs): 52.0. Ours: not run.
Mask2Former's class logits are linear, ours are cosines; see docs/method.md for void, padding and the division of
losses.
Command: mim train mmdataseg configs/others/mask2former_r50_coco.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

train_sources = test_sources = [_base_.coco_panoptic]

model = dict(
    sources=test_sources,
    classifier=dict(type="mmdataseg.LearnedClassifier", embed_dim=256),
    criterion=dict(merge="none", targets=dict(masks=dict(focal_weight=0.0, bce_weight=5.0))),
    postprocessors=dict(semantic=dict(merge="probability")),
)
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1]))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
