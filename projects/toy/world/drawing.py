"""Shapes and textures of the toy world: numpy and OpenCV only, every draw from the generator that is passed in.

Images are float32 RGB, 0 to 255, (H, W, 3), until `finish` makes them uint8. Lengths are pixels.
"""

import cv2
import numpy as np

from projects.toy.world.vocabulary import Kind

COLOUR_RGB = {
    "red": (212, 42, 44),
    "green": (34, 186, 66),
    "blue": (42, 78, 214),
    "yellow": (240, 214, 36),
    "purple": (146, 52, 176),
    "white": (240, 240, 240),
}
# Stuff is dull and things are vivid, so that a colour word has one meaning: grass is olive, not the green of 'green
# disc'.
MATERIAL_RGB = {
    "sand": (206, 182, 138),
    "grass": (104, 124, 72),
    "water": (98, 164, 176),
    "floor": (136, 132, 138),
    "wall": (142, 98, 80),
}
SUPERSAMPLING = 4
_MAX_TURN = {"square": 20.0, "cross": 20.0, "triangle": 25.0}


def _regular(corners: int, radius: float, *, inner: float | None = None) -> np.ndarray:
    """Corners of a polygon around 0, the first on top; with an inner radius, every second corner is at that radius (a
    star)."""
    count = corners if inner is None else 2 * corners
    angles = -np.pi / 2 + 2 * np.pi * np.arange(count) / count
    radii = np.full(count, radius)
    if inner is not None:
        radii[1::2] = inner
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _outline(shape: str, radius: float) -> np.ndarray:
    """Corners (N, 2) of the shapes with straight sides, around 0, within the circle of the given radius."""
    if shape == "square":
        side = 0.7 * radius
        return np.array([[-side, -side], [side, -side], [side, side], [-side, side]])
    if shape == "triangle":
        return _regular(3, radius)
    if shape == "star":
        return _regular(5, radius, inner=0.44 * radius)
    arm, far = 0.3 * radius, 0.95 * radius
    quarter = np.array([[-arm, -far], [arm, -far], [arm, -arm]])
    turns = [np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in np.pi / 2 * np.arange(4)]
    return np.concatenate([quarter @ turn.T for turn in turns])


def shape_coverage(shape: str, diameter: float, degrees: float) -> np.ndarray:
    """How much of each pixel of a square patch the shape covers.

    Args:
        shape: One of `vocabulary.SHAPES`.
        diameter: Diameter of the circle that holds the shape, in pixels.
        degrees: Its rotation, clockwise.

    Returns:
        (P, P) float32 in [0, 1], P the diameter rounded up plus 2.
    """
    size = int(np.ceil(diameter)) + 2
    big = size * SUPERSAMPLING
    canvas = np.zeros((big, big), np.uint8)
    centre, radius = big / 2, diameter / 2 * SUPERSAMPLING
    turn = np.deg2rad(degrees)
    towards = np.array([np.cos(turn), np.sin(turn)])

    def circle(offset: np.ndarray, circle_radius: float, value: int) -> None:
        x, y = (centre + offset).round().astype(int).tolist()
        cv2.circle(canvas, (x, y), round(circle_radius), value, cv2.FILLED)

    if shape in ("disc", "ring", "crescent"):
        circle(np.zeros(2), radius, 1)
        if shape == "ring":
            circle(np.zeros(2), 0.56 * radius, 0)
        elif shape == "crescent":
            circle(0.5 * radius * towards, 0.76 * radius, 0)
    else:
        rotation = np.array([[towards[0], -towards[1]], [towards[1], towards[0]]])
        corners = _outline(shape, radius) @ rotation.T + centre
        cv2.fillPoly(canvas, [corners.round().astype(np.int32)], 1)
    return cv2.resize(canvas.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)


def thing_patch(rng: np.random.Generator, kind: Kind, diameter: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw one thing on its own patch: rotated, shaded and with a random surface.

    Args:
        rng: Source of every choice.
        kind: (colour, shape).
        diameter: Diameter of the circle that holds it, in pixels.

    Returns:
        colour (P, P, 3) float32 RGB and coverage (P, P) float32 in [0, 1].
    """
    colour, shape = kind
    limit = _MAX_TURN.get(shape, 180.0)
    coverage = shape_coverage(shape, diameter, float(rng.uniform(-limit, limit)))
    size = coverage.shape[0]
    base = np.array(COLOUR_RGB[colour], np.float32) + rng.uniform(-10, 10, 3).astype(np.float32)
    ys, xs = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    light = 0.94 + 0.28 * (np.cos(angle) * xs + np.sin(angle) * ys)
    surface = rng.integers(3)
    if surface == 1:
        light = light * (0.93 + 0.07 * np.sign(np.sin(2 * np.pi * rng.uniform(3, 5) * (xs + ys * rng.uniform(-1, 1)))))
    elif surface == 2:
        speckle = cv2.GaussianBlur(rng.standard_normal((size, size)).astype(np.float32), (0, 0), 0.9)
        light = light * (1 - 0.16 * (speckle > 0.35))
    return base * light[..., None].astype(np.float32), coverage


def paste(image: np.ndarray, colour: np.ndarray, coverage: np.ndarray, top_left: tuple[int, int]) -> np.ndarray:
    """Blend a patch into the image, in place.

    Args:
        image: (H, W, 3) float32, changed.
        colour: (P, P, 3) float32.
        coverage: (P, P) float32 in [0, 1].
        top_left: (y, x) of the patch's corner in the image; the patch may reach beyond the border.

    Returns:
        (H, W) bool: the pixels of which the patch covers at least half.
    """
    height, width = image.shape[:2]
    y, x = top_left
    y0, x0 = max(y, 0), max(x, 0)
    y1, x1 = min(y + coverage.shape[0], height), min(x + coverage.shape[1], width)
    mask = np.zeros((height, width), bool)
    if y0 >= y1 or x0 >= x1:
        return mask
    alpha = coverage[y0 - y : y1 - y, x0 - x : x1 - x, None]
    window = image[y0:y1, x0:x1]
    window[:] = (1 - alpha) * window + alpha * colour[y0 - y : y1 - y, x0 - x : x1 - x]
    mask[y0:y1, x0:x1] = alpha[..., 0] >= 0.5
    return mask


def stuff_texture(rng: np.random.Generator, kind: Kind, size: int) -> np.ndarray:
    """A whole image of one kind of stuff.

    Args:
        rng: Source of every choice.
        kind: (pattern, material).
        size: Height and width.

    Returns:
        (size, size, 3) float32 RGB.
    """
    pattern, material = kind
    base = np.array(MATERIAL_RGB[material], np.float32) + rng.uniform(-8, 8, 3).astype(np.float32)
    marks = _pattern(rng, pattern, size)
    clouds = cv2.resize(rng.standard_normal((6, 6)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    factor = 1 + rng.uniform(0.16, 0.24) * (marks - 0.5) * rng.choice([-1, 1]) + 0.035 * clouds
    return base * factor[..., None].astype(np.float32)


def _pattern(rng: np.random.Generator, pattern: str, size: int) -> np.ndarray:
    """(size, size) float32 in [0, 1]: where the pattern is dark or light."""
    ys, xs = np.mgrid[:size, :size].astype(np.float32)
    unit = size / 128
    period = rng.uniform(9, 13) * unit
    turn = rng.uniform(-0.6, 0.6)
    u, v = np.cos(turn) * xs + np.sin(turn) * ys, np.cos(turn) * ys - np.sin(turn) * xs
    u, v = u + rng.uniform(0, period), v + rng.uniform(0, period)
    if pattern == "striped":
        marks = np.sin(2 * np.pi * u / period) > 0
    elif pattern == "dotted":
        du, dv = (u % period) - period / 2, (v % period) - period / 2
        marks = du**2 + dv**2 < (0.3 * period) ** 2
    elif pattern == "checked":
        marks = (np.floor(u / period) + np.floor(v / period)) % 2 > 0
    elif pattern == "wavy":
        level = ys + 2.5 * unit * np.sin(2 * np.pi * (xs + rng.uniform(0, 40)) / (rng.uniform(20, 30) * unit))
        marks = np.sin(2 * np.pi * level / (0.8 * period)) > 0.2
    else:  # brick: rows, every second one shifted by half a brick
        row = np.floor(ys / (0.8 * period))
        along = (xs + (row % 2) * period + rng.uniform(0, period)) % (2 * period)
        joint = max(1.0, 0.13 * period)
        marks = ((ys % (0.8 * period)) < joint) | (along < joint)
    return cv2.GaussianBlur(marks.astype(np.float32), (0, 0), 0.6)


def finish(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Add light from one side and camera noise.

    Args:
        rng: Source of every choice.
        image: (H, W, 3) float32 RGB.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    height, width = image.shape[:2]
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * (xs / width - 0.5) + np.sin(angle) * (ys / height - 0.5)
    light = rng.uniform(0.88, 1.05) + rng.uniform(0.1, 0.35) * ramp
    noise = rng.standard_normal(image.shape).astype(np.float32) * rng.uniform(3, 8)
    return np.clip(image * light[..., None] + noise, 0, 255).round().astype(np.uint8)
