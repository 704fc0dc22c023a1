"""Ablation of dataseg_toy_3ds: a background vector for each training source.

Shows the effect of one shared background, although a class of one source is unlabelled in another.
At toy scale. Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/ablations/dataseg_toy_3ds_per-source-background.py
"""

_base_ = ["../dataseg_toy_3ds.py"]

toy_open = dict(_base_.toy_open, parameters_of="toy_panoptic")  # not trained on, so without its own
test_sources = [*_base_.train_sources, _base_.toy_semantic_as_panoptic, toy_open]

model = dict(sources=test_sources, classifier=dict(background="per_source"))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
find_unused_parameters = True  # a batch trains only the parameters of its own source
