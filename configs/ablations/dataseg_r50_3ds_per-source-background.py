"""Ablation of dataseg_r50_3ds: a background vector for each training source.

Shows the effect of one shared background, although a class of one source is unlabelled in another. Ours: not run.
Command: mim train mmdataseg configs/ablations/dataseg_r50_3ds_per-source-background.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

model = dict(classifier=dict(background="per_source"))
find_unused_parameters = True  # a batch trains only the parameters of its own source
