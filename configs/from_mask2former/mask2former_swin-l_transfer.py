r"""Direct transfer of a Mask2Former, Swin-L, trained on COCO panoptic: other words, nothing trained. Test only.

Ours: not run. What to expect of words it was not trained on: docs/start_from_mask2former.md.
Command: mim test mmdataseg configs/from_mask2former/mask2former_swin-l_transfer.py --checkpoint \
    work_dirs/mask2former_swin-l_coco-panoptic/converted.pth
"""

_base_ = ["./mask2former_r50_transfer.py", "../_base_/backbones/swin.py"]

model = dict(
    backbone=dict(_base_.swin_l, _delete_=True),
    panoptic_head=dict(in_channels=[192, 384, 768, 1536], num_queries=200),
)
