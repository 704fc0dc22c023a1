"""Ablation of dataseg_r50_3ds: a set of queries for each training source.

Shows the effect of shared queries: the paper's network does not know which dataset an image is from. Ours: not run.
Command: mim train mmdataseg configs/ablations/dataseg_r50_3ds_per-source-queries.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

model = dict(queries="per_source")
find_unused_parameters = True  # a batch trains only the parameters of its own source
