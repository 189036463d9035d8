"""Pixels that drawings are made on: checked, resized, filled."""

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.client.lettering import Colour


def checked_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture in colours, as uint8 [height, width, 3].

    Args:
        pixels: uint8 [height, width, 3], RGB, or grey [height, width].

    Raises:
        ValueError: the pixels have another shape or dtype, or there are none.

    >>> checked_rgb(np.array([[7]], np.uint8)).tolist()
    [[[7, 7, 7]]]
    """
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise ValueError(
            f"pixels are {pixels.dtype} {pixels.shape}, must be uint8 [height, width, 3] or [height, width]"
        )
    if pixels.size == 0:
        raise ValueError(f"pixels have shape {pixels.shape}: there are none")
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, np.newaxis], 3, axis=2)


def resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the picture at this width and height; itself where it has them.

    Few pixels are shown as they are, as squares; more look better smooth.
    """
    width, height = size
    if pixels.shape[:2] == (height, width):
        return pixels
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST if scale >= 4 else cv2.INTER_CUBIC
    return cv2.resize(pixels, size, interpolation=kernel).astype(np.uint8, copy=False)


def filled(height: int, width: int, colour: Colour) -> NDArray[np.uint8]:
    """Return pixels of one colour, uint8 [height, width, 3]."""
    return np.full((height, width, 3), colour, np.uint8)
