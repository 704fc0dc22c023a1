r"""Direct transfer of dataseg_voc_3ds to CamVid, a vocabulary that it was not trained on. Test only.

Not a row of the paper. Data: projects/voc/README.md
Command: mim test mmdataseg projects/voc/configs/transfer/dataseg_voc_3ds_transfer.py --checkpoint \
    work_dirs/dataseg_voc_3ds/iter_900.pth
"""

_base_ = ["../dataseg_voc_3ds.py", "../_base_/sources/camvid_semantic.py"]

sources = [_base_.camvid_semantic]

model = dict(sources=[*_base_.train_sources, _base_.camvid_semantic])
test_dataloader = dict(dataset=dict(sources=sources))
test_evaluator = dict(metrics=sources)
# test only
train_cfg = train_dataloader = optim_wrapper = param_scheduler = val_cfg = val_dataloader = val_evaluator = None
