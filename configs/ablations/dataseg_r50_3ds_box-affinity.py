"""Ablation of dataseg_r50_3ds: BoxInst's colour affinity inside the boxes, on top of the projection loss.

Shows whether colours (Tian et al., BoxInst, 2021) add to what boxes and the other sources' masks teach; with the weight
of the projection, as in BoxInst. Ours: not run.
Command: mim train mmdataseg configs/ablations/dataseg_r50_3ds_box-affinity.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

model = dict(
    data_preprocessor=dict(type="mmdataseg.ColorSimilarityPreprocessor"),
    criterion=dict(targets=dict(boxes=dict(affinity_weight=5.0))),
)
