"""ADE20K under a manual taxonomy, in the style of MSeg (Lambert et al., CVPR 2020): classes that both ADE20K and
COCO have are joined, and all others are void. The taxonomy is ours and has 61 classes.

Data: as ade_semantic. No text embeddings: tested with learned classifiers.
"""

_base_ = ["./ade_semantic.py"]

# class -> values in the label PNGs
_ade_values = {
    "person": [13],
    "bicycle": [128],
    "car": [21, 103],  # car, van
    "motorcycle": [117],  # minibike
    "airplane": [91],
    "bus": [81],
    "truck": [84],
    "boat": [77, 104],  # boat, ship
    "traffic light": [137],
    "bench": [70],
    "animal": [127],
    "bag": [116],
    "ball": [120],
    "bottle": [99],
    "potted plant": [18],  # plant
    "chair": [20, 31, 76],  # chair, armchair, swivel chair
    "sofa": [24],
    "bed": [8],
    "toilet": [66],
    "television": [90, 142, 144],  # television receiver, crt screen, monitor
    "microwave": [125],
    "oven": [72, 119],  # stove, oven
    "refrigerator": [51],
    "sink": [48],
    "book": [68],
    "clock": [149],
    "vase": [136],
    "table": [16, 34, 65],  # table, desk, coffee table
    "food": [121],
    "wall": [1],
    "building": [2, 26, 49, 80, 85],  # building, house, skyscraper, hovel, tower
    "sky": [3],
    "floor": [4],
    "ceiling": [6],
    "tree": [5, 73],  # tree, palm
    "flower": [67],
    "road": [7],
    "sidewalk": [12],
    "grass": [10],
    "earth": [14, 92],  # earth, dirt track
    "mountain": [17, 69],  # mountain, hill
    "rock": [35],
    "sand": [47],
    "water": [22, 27, 61, 129],  # water, sea, river, lake
    "window": [9],  # windowpane
    "blind": [64],
    "curtain": [19],
    "door": [15, 59],  # door, screen door
    "mirror": [28],
    "rug": [29],
    "cabinet": [11, 36, 45],  # cabinet, wardrobe, chest of drawers
    "shelf": [25, 63],  # shelf, bookcase
    "counter": [46, 71, 74],  # counter, countertop, kitchen island
    "fence": [33, 39],  # fence, railing
    "bridge": [62],
    "stairs": [54, 60],  # stairs, stairway
    "tent": [115],
    "towel": [82],
    "blanket": [132],
    "pillow": [40, 58],  # cushion, pillow
    "light": [37, 83, 86, 88, 135],  # lamp, light, chandelier, streetlight, sconce
}
_ade_map = {**dict.fromkeys(range(151)), **{value: name for name, values in _ade_values.items() for value in values}}

merged_ade = dict(
    _base_.ade_semantic,
    name="merged_ade",
    label_space=dict(name="ade_coco_merged", classes=list(_ade_values), is_thing=[True] * 27 + [False] * 34),
    embeddings=None,
    train=dict(_base_.ade_semantic.train, zero_is_void=False, label_map=_ade_map),
    test=dict(_base_.ade_semantic.test, zero_is_void=False, label_map=_ade_map),
)
