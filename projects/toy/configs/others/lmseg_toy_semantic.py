"""In the style of LMSeg (Zhou et al., ICLR 2023): several semantic sources, text as the classifier.

It has LMSeg's co-training and text classifier, but not its prompts for each category and its augmentation for each
dataset. At toy scale.
Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/others/lmseg_toy_semantic.py
"""

_base_ = ["../dataseg_toy_3ds.py"]

toy_panoptic_as_semantic = dict(
    _base_.toy_panoptic,
    name="toy_panoptic_as_semantic",
    task="semantic",
    metrics=[dict(type="mmdataseg.SemanticMetric")],
)
train_sources = test_sources = [_base_.toy_semantic, toy_panoptic_as_semantic]

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
