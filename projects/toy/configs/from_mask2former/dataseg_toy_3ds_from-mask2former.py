"""The toy world's three sources together, from a converted Mask2Former instead of from scratch, 1 : 3 : 2.

The head and the classifier are those of the conversion: a linear map to class embeddings, not normalised.
Command: mim train mmdataseg projects/toy/configs/from_mask2former/dataseg_toy_3ds_from-mask2former.py
"""

_base_ = ["../dataseg_toy_3ds.py"]

load_from = "work_dirs/mask2former_toy/converted.pth"
model = dict(panoptic_head=dict(class_embed_layers=1), classifier=dict(normalize=False))
