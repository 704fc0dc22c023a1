"""In the style of MaskFormer (Cheng et al., NeurIPS 2021): one semantic source, a learned classifier.

Semantic segmentation as mask classification; no text, no MERGE in training; focal and dice on all cells.
Ours: not run. The network is Mask2Former's. Like mask2former_r50_coco, except for the source and the losses.
Command: mim train mmdataseg configs/others/maskformer_r50_ade.py --launcher pytorch --gpus 8
"""

_base_ = ["./mask2former_r50_coco.py"]

train_sources = test_sources = [_base_.ade_semantic]

model = dict(
    sources=test_sources,
    criterion=dict(
        class_weight=1.0,
        targets=dict(masks=dict(focal_weight=20.0, bce_weight=0.0, dice_weight=1.0, num_points=None)),
    ),
)
train_dataloader = dict(dataset=dict(sources=train_sources))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
