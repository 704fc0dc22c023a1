"""COCO as semantic segmentation under the taxonomy of merged_ade, which names the classes.

Data: as coco_panoptic. No text embeddings: tested with learned classifiers.
"""

_base_ = ["./merged_ade.py", "./coco_panoptic.py"]

# class -> category names; a category that is called like the class needs no entry
_coco_names = {
    "animal": ["bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"],
    "bag": ["backpack", "handbag", "suitcase"],
    "ball": ["sports ball"],
    "sofa": ["couch"],
    "television": ["tv"],
    "table": ["dining table", "table-merged"],
    "food": [
        "banana",
        "apple",
        "sandwich",
        "orange",
        "broccoli",
        "carrot",
        "hot dog",
        "pizza",
        "donut",
        "cake",
        "fruit",
        "food-other-merged",
    ],
    "wall": ["wall-brick", "wall-stone", "wall-tile", "wall-wood", "wall-other-merged"],
    "building": ["house", "roof", "building-other-merged"],
    "sky": ["sky-other-merged"],
    "floor": ["floor-wood", "floor-other-merged"],
    "ceiling": ["ceiling-merged"],
    "tree": ["tree-merged"],
    "sidewalk": ["pavement-merged"],
    "grass": ["grass-merged"],
    "earth": ["dirt-merged"],
    "mountain": ["mountain-merged"],
    "rock": ["rock-merged"],
    "water": ["river", "sea", "water-other"],
    "window": ["window-other"],
    "blind": ["window-blind"],
    "door": ["door-stuff"],
    "mirror": ["mirror-stuff"],
    "rug": ["rug-merged"],
    "cabinet": ["cabinet-merged"],
    "fence": ["fence-merged"],
}
_coco_void = [
    *["train", "fire hydrant", "stop sign", "parking meter", "umbrella", "tie", "frisbee", "skis"],
    *["snowboard", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket"],
    *["wine glass", "cup", "fork", "knife", "spoon", "bowl", "laptop", "mouse", "remote", "keyboard"],
    *["cell phone", "toaster", "scissors", "teddy bear", "hair drier", "toothbrush", "banner", "cardboard"],
    *["gravel", "net", "platform", "playingfield", "railroad", "snow", "paper-merged"],
]
_coco_map = {**dict.fromkeys(_coco_void), **{old: name for name, olds in _coco_names.items() for old in olds}}

merged_coco = dict(
    _base_.coco_panoptic,
    name="merged_coco",
    task="semantic",
    label_space=_base_.merged_ade.label_space,
    embeddings=None,
    train=dict(_base_.coco_panoptic.train, label_map=_coco_map),
    test=dict(_base_.coco_panoptic.test, label_map=_coco_map),
    metrics=[dict(type="mmdataseg.SemanticMetric")],
)
