"""The toy world's three sources together, 1 : 3 : 2: the whole method on two CPU cores.

Not a row of the paper, and not its ratios 1 : 4 : 4 either: the boxes here are no more than the panoptic source, which
alone teaches to tell instances apart by masks. Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/dataseg_toy_3ds.py
"""

_base_ = [
    "./_base_/sources/toy_panoptic.py",
    "./_base_/sources/toy_boxes.py",
    "./_base_/sources/toy_semantic_as_panoptic.py",  # has toy_semantic, too: it is made of it
    "./_base_/sources/toy_open.py",
    "../../../configs/_base_/models/dataseg_small.py",
    "../../../configs/_base_/schedules/adamw_2k.py",
]

train_sources = [_base_.toy_semantic, _base_.toy_panoptic, _base_.toy_boxes]
test_sources = [*train_sources, _base_.toy_semantic_as_panoptic, _base_.toy_open]

model = dict(sources=test_sources)
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 3, 2]))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
