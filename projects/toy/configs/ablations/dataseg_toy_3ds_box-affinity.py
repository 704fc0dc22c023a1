"""Ablation of dataseg_toy_3ds: BoxInst's colour affinity inside the boxes, on top of the projection loss.

Shows whether colours (Tian et al., BoxInst, 2021) add to what boxes and the other sources' masks teach; with the weight
of the projection, as in BoxInst.
At toy scale. Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/ablations/dataseg_toy_3ds_box-affinity.py
"""

_base_ = ["../dataseg_toy_3ds.py"]

model = dict(
    data_preprocessor=dict(type="mmdataseg.ColorSimilarityPreprocessor"),
    criterion=dict(targets=dict(boxes=dict(affinity_weight=5.0))),
)
