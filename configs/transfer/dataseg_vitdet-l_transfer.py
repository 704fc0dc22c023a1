r"""Direct transfer of a trained ViTDet-L model: other class names, other thing flags, the same weights. Test only.

Paper (Gu et al., NeurIPS 2023, direct transfer): Pascal Context mIoU 59 classes 51.4, 459 classes 11.1, COCO mIoU 62.9,
Cityscapes PQ 29.8. Ours: not run.
COCO mIoU does not measure transfer to an unseen dataset: the model was trained on COCO panoptic, and the paper prints
it in grey.
Command: mim test mmdataseg configs/transfer/dataseg_vitdet-l_transfer.py --checkpoint \
    work_dirs/dataseg_vitdet-l_3ds/iter_368750.pth
"""

_base_ = ["./dataseg_vitdet-b_transfer.py"]

model = dict(backbone=dict(arch="large"))
