r"""Open-vocabulary evaluation in the style of OpenSeg and ODISE: one panoptic source, tested with all vocabularies.

Test only. At toy scale. Data: python -m projects.toy.make_toy data/toy
Command: mim test mmdataseg projects/toy/configs/others/openvocabulary_toy_panoptic.py --checkpoint \
    work_dirs/dataseg_toy_panoptic/iter_2000.pth
"""

_base_ = ["../separate/dataseg_toy_panoptic.py"]

# test only
train_cfg = train_dataloader = optim_wrapper = param_scheduler = val_cfg = val_dataloader = val_evaluator = None
