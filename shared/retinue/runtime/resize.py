"""From a picture of any size to one row of the model's input, as the model's manifest asks for it.

A model that is fed by another resize than it was trained with loses accuracy in silence, so each policy is bit for bit
what the trainer's library does: Pillow (and torchvision on Pillow pictures) with antialiasing, OpenCV without.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retinue.runtime.classification_manifest import InputPolicy
from retinue.runtime.segmentation_manifest import ScaleInput, StretchInput

_PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_OPENCV = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}
# crop scales the whole picture and then throws most of a long one away: one of 1 x 65535 pixels would become 256 x 16
# million. Above so many scaled pixels, and more than four times as long as wide, the ends are cut off beforehand.
_MAX_SCALED_PIXELS = 2**24


def fit_into(pixels: NDArray[np.uint8], policy: InputPolicy, row: NDArray[np.uint8]) -> None:
    """Write a picture into a row of a model's input, resized, cropped or padded as the policy says.

    Args:
        pixels: uint8 [any height, any width, 3], at least 1 x 1; need not be contiguous, is not changed.
        policy: how the picture becomes the input.
        row: uint8 [policy.height, policy.width, 3], C-contiguous, overwritten as a whole.

    Notes:
        What already has the right size is copied, not resampled. With crop, a picture so long that it would scale to
        more than 2^24 pixels and more than four times as long as wide is cut to its centre first: the result then may
        be shifted by up to half a pixel.

    Source:
        crop: `Resize(short_side)` and `CenterCrop` of torchvision, including their roundings. letterbox: the centred
        `LetterBox` of Ultralytics, including its roundings. Written anew for both.

    >>> policy = InputPolicy(height=2, width=4, fit="letterbox", pad_value=0)
    >>> row = np.empty((2, 4, 3), np.uint8)
    >>> fit_into(np.full((6, 6, 3), 9, np.uint8), policy, row)
    >>> row[..., 0].tolist()
    [[0, 9, 9, 0], [0, 9, 9, 0]]
    """
    match policy.fit:
        case "stretch":
            scale_into(pixels, policy, row)
        case "crop":
            _crop_into(pixels, policy, row)
        case "letterbox":
            _letterbox_into(pixels, policy, row)


def _crop_into(pixels: NDArray[np.uint8], policy: InputPolicy, row: NDArray[np.uint8]) -> None:
    short_side = policy.short_side or min(row.shape[:2])
    pixels = _without_far_ends(pixels, max(4 * short_side, _MAX_SCALED_PIXELS // short_side) // short_side)
    height, width = pixels.shape[:2]
    long_side = int(short_side * max(height, width) / min(height, width))
    scaled_height, scaled_width = (short_side, long_side) if width >= height else (long_side, short_side)
    # round() takes halves to the even neighbour here and there: torchvision calls the same function.
    top, left = round((scaled_height - row.shape[0]) / 2.0), round((scaled_width - row.shape[1]) / 2.0)
    bottom, right = top + row.shape[0], left + row.shape[1]
    if (scaled_height, scaled_width) == (height, width):
        row[...] = pixels[top:bottom, left:right]
    elif policy.antialias and policy.kernel != "area":
        # Pillow scales columns first, then rows, with 8 bits between: cutting in between changes no bit and saves a
        # tenth of the time.
        wide = Image.fromarray(pixels).resize((scaled_width, height), _PILLOW[policy.kernel])
        narrow = wide.crop((left, 0, right, height)).resize((row.shape[1], scaled_height), _PILLOW[policy.kernel])
        row[...] = np.asarray(narrow.crop((0, top, row.shape[1], bottom)))
    else:
        scaled = cv2.resize(pixels, (scaled_width, scaled_height), interpolation=_OPENCV[policy.kernel])
        row[...] = scaled[top:bottom, left:right]


def _without_far_ends(pixels: NDArray[np.uint8], max_aspect: int) -> NDArray[np.uint8]:
    """Return the centre of a picture, at most `max_aspect` times as long as wide."""
    height, width = pixels.shape[:2]
    longest = max_aspect * min(height, width)
    # As much at either end, or the centre would move by half a pixel, which may be a hundred after scaling.
    top, left = (max(0, height - longest) + 1) // 2, (max(0, width - longest) + 1) // 2
    return pixels[top : height - top, left : width - left]


def _letterbox_into(pixels: NDArray[np.uint8], policy: InputPolicy, row: NDArray[np.uint8]) -> None:
    height, width = pixels.shape[:2]
    scale = min(row.shape[0] / height, row.shape[1] / width)
    scaled_height = min(max(1, round(height * scale)), row.shape[0])
    scaled_width = min(max(1, round(width * scale)), row.shape[1])
    # An odd number of padding rows gives the bottom one more, an odd number of columns the right.
    top, left = (row.shape[0] - scaled_height) // 2, (row.shape[1] - scaled_width) // 2
    row[...] = policy.pad_value
    scale_into(pixels, policy, row[top : top + scaled_height, left : left + scaled_width])


def scale_into(
    pixels: NDArray[np.uint8], policy: InputPolicy | ScaleInput | StretchInput, target: NDArray[np.uint8]
) -> None:
    """Write a picture, scaled to the target's size by the policy's kernel, into the target; copy it where it has that.

    Args:
        pixels: uint8 [any height, any width, 3], at least 1 x 1.
        policy: which kernel, and whether it is widened when shrinking; nothing else of it counts.
        target: uint8 [height, width, 3], overwritten as a whole.
    """
    height, width = target.shape[:2]
    if pixels.shape == target.shape:
        target[...] = pixels
    elif policy.antialias and policy.kernel != "area":
        target[...] = np.asarray(Image.fromarray(pixels).resize((width, height), _PILLOW[policy.kernel]))
    else:
        scaled = cv2.resize(pixels, (width, height), dst=target, interpolation=_OPENCV[policy.kernel])
        if scaled is not target:  # OpenCV writes elsewhere without a word where the target does not suit it
            target[...] = scaled
