"""dataseg_voc_3ds and CamVid's street scenes, 1 : 2 : 1 : 1: two vocabularies in one model.

Not a row of the paper. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/dataseg_voc_4ds.py
"""

_base_ = ["./dataseg_voc_3ds.py", "./_base_/sources/camvid_semantic.py"]

train_sources = [*_base_.train_sources, _base_.camvid_semantic]

model = dict(sources=train_sources)
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 2, 1, 1]))
val_dataloader = dict(dataset=dict(sources=train_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=train_sources)
test_evaluator = val_evaluator
