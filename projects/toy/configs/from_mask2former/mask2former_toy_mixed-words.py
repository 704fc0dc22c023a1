r"""mmdet's Mask2Former of the toy world, converted, with its trained classes and new ones together. Test only.

Command: mim test mmdataseg projects/toy/configs/from_mask2former/mask2former_toy_mixed-words.py --checkpoint \
    work_dirs/mask2former_toy/converted.pth
"""

_base_ = ["../transfer/dataseg_toy_3ds_mixed-words.py"]

# as in mask2former_toy
model = dict(
    panoptic_head=dict(class_embed_layers=1),
    classifier=dict(normalize=False),
    postprocessors=dict(
        panoptic=dict(type="mmdataseg.FusionPanopticPostProcessor"), semantic=dict(merge="probability")
    ),
)
