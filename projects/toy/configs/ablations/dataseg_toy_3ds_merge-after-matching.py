"""Ablation of dataseg_toy_3ds: MERGE comes after the matching, not before it.

Single proposals are matched, and an unmatched one joins the target of its class. Shows the effect of MERGE before
the matching.
At toy scale. Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/ablations/dataseg_toy_3ds_merge-after-matching.py
"""

_base_ = ["../dataseg_toy_3ds.py"]

model = dict(criterion=dict(merge="after_matching"))
