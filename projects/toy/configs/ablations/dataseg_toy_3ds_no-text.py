"""Ablation of dataseg_toy_3ds: learned class vectors in place of text embeddings.

Shows the effect of a common space of names: without it, nothing connects equal classes of different sources, and no new
vocabulary can be tested.
At toy scale. Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/ablations/dataseg_toy_3ds_no-text.py
"""

_base_ = ["../dataseg_toy_3ds.py"]

# toy_open is a vocabulary that nothing was trained on
test_sources = [*_base_.train_sources, _base_.toy_semantic_as_panoptic]

model = dict(sources=test_sources, classifier=dict(type="mmdataseg.LearnedClassifier"))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
find_unused_parameters = True  # a batch trains only the parameters of its own source
