"""toy_semantic under a manual taxonomy, shared with toy_merged_panoptic: without colours and patterns.

Data: as toy_semantic. No text embeddings: tested with learned classifiers.
"""

_base_ = ["./toy_semantic.py"]

# class -> values in the label PNGs; void: values of classes that the other source does not have (0: unlabelled)
_toy_values = {
    **{"disc": [6, 7, 8], "square": [9, 10], "triangle": [12, 13, 14], "cross": [15]},
    **{"sand": [1, 2], "grass": [3], "water": [4]},
}
_toy_map = {**dict.fromkeys(range(18)), **{value: name for name, values in _toy_values.items() for value in values}}

toy_merged_semantic = dict(
    _base_.toy_semantic,
    name="toy_merged_semantic",
    label_space=dict(name="toy_merged", classes=list(_toy_values), is_thing=[True] * 4 + [False] * 3),
    embeddings=None,
    train=dict(_base_.toy_semantic.train, zero_is_void=False, label_map=_toy_map),
    test=dict(_base_.toy_semantic.test, zero_is_void=False, label_map=_toy_map),
)
