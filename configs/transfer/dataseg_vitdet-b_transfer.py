r"""Direct transfer of a trained ViTDet-B model: other names, other thing flags, no other weights. Test only.

Paper (Gu et al., NeurIPS 2023, direct transfer): Pascal Context mIoU 59 classes 51.1, 459 classes 11.6, COCO mIoU 62.7,
Cityscapes PQ 28.0. Ours: not run.
COCO mIoU is no transfer to an unseen dataset: the model was trained on COCO panoptic, and the paper prints it in grey.
Command: mim test mmdataseg configs/transfer/dataseg_vitdet-b_transfer.py --checkpoint \
    work_dirs/dataseg_vitdet-b_3ds/iter_368750.pth
"""

_base_ = ["../_base_/transfer.py", "../_base_/models/dataseg_vitdet-b.py"]

model = dict(sources=_base_.sources)
