"""In the manner of MaskFormer (Cheng et al., NeurIPS 2021): one semantic source, a learned classifier.

Semantic segmentation as mask classification; no text, no MERGE in training.
Ours: not run. The network is Mask2Former's.
Command: mim train mmdataseg configs/others/maskformer_r50_ade.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

train_sources = test_sources = [_base_.ade_semantic]

model = dict(
    sources=test_sources,
    classifier=dict(type="mmdataseg.LearnedClassifier", embed_dim=256),
    criterion=dict(merge=False),
)
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1]))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
