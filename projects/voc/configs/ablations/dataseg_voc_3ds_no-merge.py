"""Ablation of dataseg_voc_3ds: training without MERGE.

Shows the effect of MERGE in training. Inference still merges.
Not a row of the paper. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/ablations/dataseg_voc_3ds_no-merge.py
"""

_base_ = ["../dataseg_voc_3ds.py"]

model = dict(criterion=dict(merge="none"))
