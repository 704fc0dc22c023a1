"""In the style of MaskFormer (Cheng et al., NeurIPS 2021): one semantic source, a learned classifier.

Semantic segmentation as mask classification; no text, no MERGE in training; focal and dice on all cells. The network is
Mask2Former's: all but the source and the losses is as in mask2former_toy_panoptic. At toy scale.
Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/others/maskformer_toy_semantic.py
"""

_base_ = ["./mask2former_toy_panoptic.py"]

train_sources = test_sources = [_base_.toy_semantic]

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
