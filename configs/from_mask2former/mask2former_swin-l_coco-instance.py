r"""Mask2Former, Swin-L, COCO instances: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
Hugging Face, mask AP 50.1*:
https://huggingface.co/facebook/mask2former-swin-large-coco-instance/resolve/main/pytorch_model.bin
* Of Mask2Former's own model zoo, from which Hugging Face's files were converted.
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_swin-l_coco-instance/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_swin-l_coco-instance.py --checkpoint \
    work_dirs/mask2former_swin-l_coco-instance/converted.pth
"""

_base_ = ["./mask2former_r50_coco-instance.py", "../_base_/backbones/swin.py"]

model = dict(
    backbone=dict(_base_.swin_l, _delete_=True),
    panoptic_head=dict(in_channels=[192, 384, 768, 1536], num_queries=200),
)
