"""toy_panoptic as semantic segmentation under the taxonomy of toy_merged_semantic, which names the classes.

Data: as toy_panoptic. No text embeddings: tested with learned classifiers.
"""

_base_ = ["./toy_merged_semantic.py", "./toy_panoptic.py"]

# the last word is the class: "red disc" becomes "disc"; a class that the other source does not have becomes void
_toy_names = {
    name: name.split()[-1] if name.split()[-1] in _base_.toy_merged_semantic.label_space.classes else None
    for name in _base_.toy_panoptic.label_space.classes
}

toy_merged_panoptic = dict(
    _base_.toy_panoptic,
    name="toy_merged_panoptic",
    task="semantic",
    label_space=_base_.toy_merged_semantic.label_space,
    embeddings=None,
    train=dict(_base_.toy_panoptic.train, label_map=_toy_names),
    test=dict(_base_.toy_panoptic.test, label_map=_toy_names),
    metrics=[dict(type="mmdataseg.SemanticMetric", chance=20)],
)
