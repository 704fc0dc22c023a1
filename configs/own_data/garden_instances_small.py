"""A template to try your own objects with polygons on a CPU in minutes: a small model from scratch, 300 iterations.

Not a row of the paper. It shows that the data are read and learned, not how good a model can be: images are scaled to
128 pixels, and the text embeddings are a stand-in. For full size, use garden_instances.py (docs/own_data.md).
Command: mim train mmdataseg configs/own_data/garden_instances_small.py
"""

_base_ = ["./garden_small.py", "./_base_/garden_instances_small.py"]

sources = [_base_.garden_instances_small]

model = dict(sources=sources)
train_dataloader = dict(dataset=dict(sources=sources))
val_dataloader = dict(dataset=dict(sources=sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=sources)
test_evaluator = val_evaluator
