"""Ablation of dataseg_r50_3ds: learned class vectors in place of text embeddings.

Shows the effect of a common space of names: without it, nothing connects equal classes of different sources, and no new
vocabulary can be tested. Ours: not run.
Command: mim train mmdataseg configs/ablations/dataseg_r50_3ds_no-text.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

model = dict(classifier=dict(type="mmdataseg.LearnedClassifier"))
find_unused_parameters = True  # a batch trains only the parameters of its own source
