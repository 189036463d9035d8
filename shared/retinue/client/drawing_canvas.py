"""The canvas of a drawing: the picture, enlarged where it is small and on paper where it is narrow."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinue.client.drawing_pixels import checked_rgb, filled, resized
from retinue.client.image_info import ImageInfo
from retinue.client.lettering import Colour

MIN_WIDTH_PX = 320
MIN_HEIGHT_PX = 96

_READABLE_SIDE_PX = 960  # smaller pictures are enlarged to about this
_UNIT_SIDE_PX = 800  # geometric mean of the sides at which text has size 1; it grows with the picture
_PAPER: Colour = (241, 243, 246)


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """What is drawn on.

    Args:
        pixels: uint8 [height, width, 3], RGB, a copy.
        left: where the picture starts on it, pixels.
        top: where the picture starts on it, pixels.
        width: of the picture on it, pixels.
        height: of the picture on it, pixels.
        scale: pixels of the canvas for each of the picture, a whole number.
        unit: size of text that suits the picture; 1 for lines of 24 pixels.
    """

    pixels: NDArray[np.uint8]
    left: int
    top: int
    width: int
    height: int
    scale: int
    unit: float

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The part where the picture is, as a view."""
        return self.pixels[self.top : self.top + self.height, self.left : self.left + self.width]


def canvas_for(pixels_rgb: NDArray[np.uint8], info: ImageInfo) -> Canvas:
    """Return a canvas with a picture on it.

    Args:
        pixels_rgb: uint8 [height, width, 3], RGB, upright, or grey [height, width].
        info: the picture as it was answered about.

    Raises:
        ValueError: the pixels have another shape or dtype, there are none, or the answer is for a picture of another
            size.
    """
    pixels = checked_rgb(pixels_rgb)
    height, width = pixels.shape[:2]
    if (info.width, info.height) != (width, height):
        raise ValueError(
            f"the picture is {width}x{height} pixels, the answer is for one of {info.width}x{info.height}; "
            "EXIF orientation must be applied"
        )
    scale = max(1, round(_READABLE_SIDE_PX / max(height, width)))
    height, width = height * scale, width * scale
    canvas = filled(max(height, MIN_HEIGHT_PX), max(width, MIN_WIDTH_PX), _PAPER)
    top, left = (canvas.shape[0] - height) // 2, (canvas.shape[1] - width) // 2
    canvas[top : top + height, left : left + width] = resized(pixels, (width, height))
    unit = max(1.0, math.sqrt(height * width) / _UNIT_SIDE_PX)
    return Canvas(canvas, left, top, width, height, scale, unit)
