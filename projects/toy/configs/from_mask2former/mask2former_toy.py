r"""mmdet's Mask2Former of the toy world, converted: other tasks and vocabularies without training. Test only.

Command: mim test mmdataseg projects/toy/configs/from_mask2former/mask2former_toy.py --checkpoint \
    work_dirs/mask2former_toy/converted.pth
"""

_base_ = ["../dataseg_toy_3ds.py"]

model = dict(
    panoptic_head=dict(class_embed_layers=1),
    classifier=dict(normalize=False),
    postprocessors=dict(
        panoptic=dict(type="mmdataseg.FusionPanopticPostProcessor"), semantic=dict(merge="probability")
    ),
)
# test only
train_cfg = train_dataloader = optim_wrapper = param_scheduler = val_cfg = val_dataloader = val_evaluator = None
