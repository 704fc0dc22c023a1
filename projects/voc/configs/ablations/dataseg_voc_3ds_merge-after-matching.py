"""Ablation of dataseg_voc_3ds: MERGE comes after the matching, not before it.

Single proposals are matched, and an unmatched one joins the target of its class. Shows the effect of MERGE before
the matching.
Not a row of the paper. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/ablations/dataseg_voc_3ds_merge-after-matching.py
"""

_base_ = ["../dataseg_voc_3ds.py"]

model = dict(criterion=dict(merge="after_matching"))
