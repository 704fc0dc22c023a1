"""In the style of MSeg (Lambert et al., CVPR 2020): semantic sources under one manual taxonomy.

One learned classifier. The taxonomy is our own, a label map in the source files; MSeg also relabelled images. At toy
scale.
Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/others/mseg_toy_semantic.py
"""

_base_ = [
    "../_base_/sources/toy_merged_panoptic.py",
    "../../../../configs/_base_/models/dataseg_small.py",
    "../../../../configs/_base_/schedules/adamw_2k.py",
]

train_sources = test_sources = [_base_.toy_merged_semantic, _base_.toy_merged_panoptic]

model = dict(
    sources=test_sources,
    classifier=dict(type="mmdataseg.LearnedClassifier", embed_dim=64),
    criterion=dict(merge="none"),
    postprocessors=dict(semantic=dict(merge="probability")),
)
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 4]))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
