"""Decode image files, arrays and tensors to (H, W, 3) uint8 BGR, as mmcv's pipelines expect."""

import logging
import warnings
from io import BytesIO
from typing import Any, Literal

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from mmdataseg.errors import UserError

Channels = Literal["rgb", "bgr"]
MAX_PIXELS = 100_000_000
logger = logging.getLogger(__name__)


class UnreadableImageError(UserError):
    """One image cannot be used; others may be fine. Takes the arguments of `UserError`."""


def decode_image(content: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode an image file.

    The image is rotated as its EXIF tag says, grey and CMYK become RGB, 16 bits become the upper 8, and transparency is
    dropped, as in a test. For an animation, the first frame is used, with a warning.

    Args:
        content: The bytes of the file.
        name: Name of the image, for messages.
        max_pixels: Larger images are refused before they are decoded.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        UnreadableImageError: The file is empty, truncated, of an unknown format, or has too many pixels.
    """
    if not content:
        raise UnreadableImageError("the file is empty", file=name, remedy="replace it")
    _check_header(content, name, max_pixels)
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return _by_pillow(content, name, max_pixels)
    check_size(*image.shape[:2], name, max_pixels)
    return image


def _check_header(content: bytes, name: str, max_pixels: int) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit: ours is below
            with Image.open(BytesIO(content)) as header:
                width, height, kind, frames = *header.size, header.format, getattr(header, "n_frames", 1)
    except Image.DecompressionBombError as error:
        if max_pixels <= 2 * (Image.MAX_IMAGE_PIXELS or 0):
            raise UnreadableImageError(f"more than {max_pixels} pixels ({error})", file=name, remedy=_SHRINK) from None
        return  # Pillow's limit is below ours: OpenCV says how large it is
    except Exception:  # Pillow does not know the format, and OpenCV may
        return
    check_size(height, width, name, max_pixels)
    if kind == "JPEG" and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):
        raise UnreadableImageError("the file is cut short", file=name, remedy="copy or download it again")
    if frames > 1 and kind != "MPO":  # the other frames of a camera's MPO are previews
        logger.warning("'%s' has %d frames; the first one is used", name, frames)


_SHRINK = "make it smaller, or raise max_pixels"


def check_size(height: int, width: int, name: str, max_pixels: int = MAX_PIXELS) -> None:
    """Raise an `UnreadableImageError` for an image without a pixel or with more than ``max_pixels``."""
    if not height * width:
        raise UnreadableImageError(f"{height} x {width} pixels (height x width): there is no pixel", file=name)
    if height * width > max_pixels:
        raise UnreadableImageError(
            f"{height} x {width} pixels (height x width), the limit is {max_pixels}", file=name, remedy=_SHRINK
        )


def _by_pillow(content: bytes, name: str, max_pixels: int) -> np.ndarray:
    try:
        with Image.open(BytesIO(content)) as image:
            return from_pillow(image, name=name, max_pixels=max_pixels)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(
            "cannot be read as an image: no known format", file=name, remedy="replace the file"
        ) from None
    except Exception as error:  # what decoding raises depends on the format
        why = " ".join(str(error).split())[:200]
        raise UnreadableImageError(
            f"cannot be read as an image ({type(error).__name__}: {why})", file=name, remedy="replace the file"
        ) from error


def from_pillow(image: Image.Image, *, name: str = "image", max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Convert a Pillow image to (H, W, 3) uint8 BGR, with the rules and arguments of `decode_image`.

    Raises:
        UnreadableImageError: The image has mode F, whose value range is unknown, or too many pixels.
    """
    check_size(image.height, image.width, name, max_pixels)
    if image.mode == "F":
        raise UnreadableImageError("its pixels are floats of an unknown range", file=name, remedy="save it with 8 bits")
    turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith("I"):  # 16 bits, some of them stored as 32
        grey = (np.asarray(turned).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.ascontiguousarray(np.asarray(turned.convert("RGB"))[..., ::-1])


def from_array(array: np.ndarray, *, channels: Channels | None, name: str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Convert a uint8 array to (H, W, 3) uint8 BGR. ``name`` and ``max_pixels`` are those of `decode_image`.

    A grey array is (H, W) or (H, W, 1). A colour array is (H, W, 3) or (H, W, 4), of which the last channel is dropped;
    ``channels`` is the order of the others.

    Raises:
        UserError: The array has colours, but ``channels`` is not given.
        UnreadableImageError: The array has another shape or dtype, or its size is not allowed.
    """
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise UnreadableImageError(
            f"expected an array (H, W), (H, W, 3) or (H, W, 4) of uint8, got {array.shape} of {array.dtype}", file=name
        )
    check_size(*array.shape[:2], name, max_pixels)
    if array.ndim == 2 or array.shape[2] == 1:
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    if channels not in ("rgb", "bgr"):
        raise UserError(
            f"{name}: an array does not say the order of its colours, and channels is {channels!r}",
            remedy="give channels='rgb' (Pillow, imageio, torchvision) or channels='bgr' (OpenCV)",
        )
    image = array[..., :3]
    return np.ascontiguousarray(image[..., ::-1] if channels == "rgb" else image)


def from_tensor(tensor: torch.Tensor, *, channels: Channels | None, name: str, max_pixels: int) -> np.ndarray:
    """Convert a tensor (3, H, W) or (1, H, W), uint8 or float in 0 .. 1, to (H, W, 3) uint8 BGR, as `from_array` does.

    Raises:
        UserError: As in `from_array`.
        UnreadableImageError: The tensor has another shape, or floats outside 0 .. 1, such as normalised values.
    """
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3) or not tensor.numel():
        raise UnreadableImageError(f"expected a tensor (3, H, W), got {tuple(tensor.shape)}", file=name)
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        low, high = float(tensor.min()), float(tensor.max())
        if not (0 <= low and high <= 1):
            raise UnreadableImageError(
                f"expected floats in 0 .. 1, got {low:.3g} .. {high:.3g}",
                file=name,
                remedy="undo the normalisation, or give uint8",
            )
        tensor = (tensor.float() * 255).round().to(torch.uint8)
    array: Any = tensor.permute(1, 2, 0).numpy()
    return from_array(array, channels=channels, name=name, max_pixels=max_pixels)
