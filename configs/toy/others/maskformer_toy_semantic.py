"""In the manner of MaskFormer (Cheng et al., NeurIPS 2021): one semantic source, a learned classifier.

Semantic segmentation as mask classification; no text, no MERGE in training.
At toy scale. Data: python tools/make_toy.py data/toy
The network is Mask2Former's.
Command: mim train mmdataseg configs/toy/others/maskformer_toy_semantic.py
"""

_base_ = ["../dataseg_toy_3ds.py"]

train_sources = test_sources = [_base_.toy_semantic]

model = dict(
    sources=test_sources,
    classifier=dict(type="mmdataseg.LearnedClassifier", embed_dim=64),
    criterion=dict(merge=False),
)
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1]))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
