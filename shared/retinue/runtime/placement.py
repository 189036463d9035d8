"""Where a picture of any size lies on a detector's input, how it gets there, and how boxes come back."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retinue.ops import clip_boxes, resize_bilinear, scale_boxes
from retinue.runtime.detection_manifest import LetterboxInput, ShorterSideInput

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Placement:
    """A picture on an input; all sizes are (height, width) in pixels.

    Args:
        full: of the picture as it came.
        scaled: of the picture on the input.
        canvas: of the input.
        top: rows of the input above it.
        left: columns of the input to its left.
    """

    full: Size
    scaled: Size
    canvas: Size
    top: int = 0
    left: int = 0

    def back(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return boxes ``x1, y1, x2, y2`` [n, 4] of the input in the frame of the picture, cut at its edges."""
        if self.top or self.left:
            boxes = boxes - np.array([self.left, self.top, self.left, self.top], np.float32)
        return clip_boxes(scale_boxes(boxes, self.scaled, self.full), *self.full)


def placement_of(height: int, width: int, policy: ShorterSideInput | LetterboxInput) -> Placement:
    """Return where a picture lies on the input of a policy.

    Args:
        height: of the picture, at least 1.
        width: of the picture, at least 1.
        policy: of the model.

    Source:
        shorter_side: torchvision's `GeneralizedRCNNTransform`, or DETR's `RandomResize` with rounding ``detr``.
        letterbox: `LetterBox` of Ultralytics, or YOLOX's `preproc` with align ``corner``.

    >>> placement_of(320, 427, ShorterSideInput())
    Placement(full=(320, 427), scaled=(800, 1067), canvas=(800, 1088), top=0, left=0)
    >>> placement_of(100, 200, LetterboxInput(height=64, width=64))
    Placement(full=(100, 200), scaled=(32, 64), canvas=(64, 64), top=16, left=0)
    """
    if isinstance(policy, ShorterSideInput):
        scaled = _floored(height, width, policy) if policy.rounding == "floor" else _as_detr(height, width, policy)
        divisor = policy.size_divisor
        return Placement(
            (height, width), scaled, (-(-scaled[0] // divisor) * divisor, -(-scaled[1] // divisor) * divisor)
        )
    scale = min(policy.height / height, policy.width / width)
    if policy.align == "corner":
        scaled = max(1, int(height * scale)), max(1, int(width * scale))
        return Placement((height, width), scaled, (policy.height, policy.width))
    scaled = min(max(1, round(height * scale)), policy.height), min(max(1, round(width * scale)), policy.width)
    # An odd number of rows gives the bottom one more, an odd number of columns the right.
    top, left = (policy.height - scaled[0]) // 2, (policy.width - scaled[1]) // 2
    return Placement((height, width), scaled, (policy.height, policy.width), top, left)


def place_into(
    pixels: NDArray[np.uint8], policy: ShorterSideInput | LetterboxInput, place: Placement, row: NDArray[Any]
) -> None:
    """Write a picture where it belongs on a row of the input.

    Args:
        pixels: uint8 [height, width, 3] RGB, of the size that `place` is for; is not changed.
        policy: of the model.
        place: of `placement_of`.
        row: [height, width, 3] of the policy's pixels, or [3, height, width] with layout nchw, C-contiguous. With
            shorter_side what lies beside the picture is left as it is, since the graph does not look at it.
    """
    if isinstance(policy, LetterboxInput):
        _letterbox_into(pixels, policy, place, row)
        return
    height, width = place.scaled
    if policy.pixels == "float32":
        resize_bilinear(pixels, height, width, out=row)
    elif (height, width) == place.full:
        row[:height, :width] = pixels
    elif policy.antialias:
        row[:height, :width] = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    else:
        row[:height, :width] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)


def _letterbox_into(pixels: NDArray[np.uint8], policy: LetterboxInput, place: Placement, row: NDArray[Any]) -> None:
    height, width = place.scaled
    if (height, width) != place.full:
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    if policy.channels == "bgr":
        pixels = pixels[..., ::-1]
    target = row.transpose(1, 2, 0) if policy.layout == "nchw" else row
    inside = target[place.top : place.top + height, place.left : place.left + width]
    if policy.pixels == "uint8":
        target[...] = policy.pad_value
        inside[...] = pixels
    else:
        divisor = np.float32(policy.divisor)
        target[...] = np.float32(policy.pad_value) / divisor
        np.divide(pixels, divisor, out=inside)


def _floored(height: int, width: int, policy: ShorterSideInput) -> Size:
    scale = min(policy.short_side / min(height, width), policy.long_side / max(height, width))
    return max(1, int(height * scale)), max(1, int(width * scale))


def _as_detr(height: int, width: int, policy: ShorterSideInput) -> Size:
    shorter, longer = min(height, width), max(height, width)
    side = policy.short_side
    if longer / shorter * side > policy.long_side:
        side = round(policy.long_side * shorter / longer)
    if side == 0:  # a line of pixels, on which the original fails
        return (policy.long_side, 1) if width < height else (1, policy.long_side)
    other = int(side * longer / shorter)
    return (other, side) if width < height else (side, other)
