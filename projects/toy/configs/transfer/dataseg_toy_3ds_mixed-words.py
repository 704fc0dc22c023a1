r"""dataseg_toy_3ds with the classes of toy_panoptic and toy_open together, on the images of both. Test only.

Data: python -m projects.toy.make_toy data/toy
Command: mim test mmdataseg projects/toy/configs/transfer/dataseg_toy_3ds_mixed-words.py --checkpoint \
    work_dirs/dataseg_toy_3ds/iter_2000.pth
"""

_base_ = ["../dataseg_toy_3ds.py"]

_own, _new = _base_.toy_panoptic.label_space, _base_.toy_open.label_space
_mixed = dict(
    task="panoptic",
    label_space=dict(
        name="toy_mixed",
        classes=[*_own.classes, *_new.classes],
        is_thing=[*_own.is_thing, *_new.is_thing],
    ),
    embeddings="data/toy/embeddings/toy_mixed.safetensors",
)
sources = [
    dict(
        _mixed,
        name="toy_panoptic_mixed",
        test=_base_.toy_panoptic.test,
        metrics=[dict(type="mmdataseg.PanopticQualityMetric", subsets=dict(own=_own.classes))],
    ),
    dict(
        _mixed,
        name="toy_open_mixed",
        test=_base_.toy_open.test,
        metrics=[dict(type="mmdataseg.PanopticQualityMetric", subsets=dict(new=_new.classes))],
    ),
]

model = dict(sources=[*_base_.train_sources, *sources])  # classes of the training sources are not new
test_dataloader = dict(dataset=dict(sources=sources))
test_evaluator = dict(metrics=sources)
# test only
train_cfg = train_dataloader = optim_wrapper = param_scheduler = val_cfg = val_dataloader = val_evaluator = None
