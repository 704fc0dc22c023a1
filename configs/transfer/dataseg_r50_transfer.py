r"""Direct transfer of a trained ResNet-50 model: other names, other thing flags, no other weights. Test only.

Paper (Gu et al., NeurIPS 2023, direct transfer): Pascal Context mIoU 59 classes 50.9, 459 classes 11.1, COCO mIoU 57.7,
Cityscapes PQ 30.0. Ours: not run.
COCO mIoU is no transfer to an unseen dataset: the model was trained on COCO panoptic, and the paper prints it in grey.
ADE panoptic is weak transfer: trained on ADE20K's label maps, never on its panoptic segments.
Command: mim test mmdataseg configs/transfer/dataseg_r50_transfer.py --checkpoint \
    work_dirs/dataseg_r50_3ds/iter_368750.pth
"""

_base_ = ["../_base_/transfer.py", "../_base_/models/dataseg_r50.py"]

model = dict(sources=_base_.sources)
