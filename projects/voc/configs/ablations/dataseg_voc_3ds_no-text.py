"""Ablation of dataseg_voc_3ds: learned class vectors in place of text embeddings.

Shows the effect of a common space of names: without it, nothing connects the boxes with the classes of the masks.
Not a row of the paper. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/ablations/dataseg_voc_3ds_no-text.py
"""

_base_ = ["../dataseg_voc_3ds.py"]

model = dict(classifier=dict(type="mmdataseg.LearnedClassifier"))
find_unused_parameters = True  # a batch trains only the parameters of its own source
