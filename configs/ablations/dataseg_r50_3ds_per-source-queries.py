"""Ablation of dataseg_r50_3ds: a set of queries for each training source.

Shows what shared queries give: the paper's network knows no dataset. Ours: not run.
Command: mim train mmdataseg configs/ablations/dataseg_r50_3ds_per-source-queries.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

model = dict(queries="per_source")
find_unused_parameters = True  # a batch trains only its own source's
