"""Codes: what class, or classes, each pixel is of, in a form that rows and windows can be cut from.

Where each pixel is of the most probable class, codes are that class, [height, width]. Where thresholds decide, a pixel
may be of several classes or of none: codes are [height, width, classes + 1], 1 for each class it is of, and last the
most probable of those, for none the highest number of the dtype. That is uint8, with more than 256 classes uint16.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.ops import Rle, rle_encode, rle_encode_labels
from services.segmentation.segmentations import Codes, Floats

NO_CLASS = 255
"""In the last layer of uint8 codes, and in a PNG of them: the pixel is of no class. With 256 classes it is one."""
MOST_CLASSES_OF_PNG = 256


def most_probable(logits: Floats) -> Codes:
    """Return the class of each pixel, uint8 or with more than 256 classes uint16 [height, width].

    Args:
        logits: [classes, height, width], of which the largest counts; of equal ones the lower class.
    """
    best = logits[0].copy()
    codes = np.zeros(best.shape, np.uint8 if len(logits) <= MOST_CLASSES_OF_PNG else np.uint16)
    for class_id in range(1, len(logits)):
        np.copyto(codes, codes.dtype.type(class_id), where=logits[class_id] > best)
        np.maximum(best, logits[class_id], out=best)
    return codes


def by_thresholds(probabilities: Floats, thresholds: Sequence[float | None]) -> Codes:
    """Return the classes of each pixel, [height, width, classes + 1].

    Args:
        probabilities: [classes, height, width], in [0, 1].
        thresholds: of each class; None where it has the pixels of which it is the most probable one.
    """
    count, height, width = probabilities.shape
    first = most_probable(probabilities)
    codes = np.empty((height, width, count + 1), first.dtype)
    no_class = np.iinfo(first.dtype).max
    best, best_class = np.full((height, width), -1, np.float32), np.full((height, width), no_class, first.dtype)
    for class_id, threshold in enumerate(thresholds):
        layer = probabilities[class_id]
        is_of = first == class_id if threshold is None else layer >= np.float32(threshold)
        codes[..., class_id] = is_of
        is_better = is_of & (layer > best)
        np.copyto(best_class, first.dtype.type(class_id), where=is_better)
        np.copyto(best, layer, where=is_better)
    codes[..., count] = best_class
    return codes


def class_counts(codes: Codes, class_count: int) -> NDArray[np.int64]:
    """Return how many pixels are of each class, int64 [classes]."""
    if codes.ndim == 2:
        counts: NDArray[np.int64] = np.bincount(codes.ravel(), minlength=class_count)
        return counts
    return np.asarray(np.count_nonzero(codes[..., :class_count], axis=(0, 1)), np.int64)


def class_masks(codes: Codes, class_count: int) -> list[Rle]:
    """Return the mask of each class, of the size of the codes."""
    if codes.ndim == 3:
        return [rle_encode(np.ascontiguousarray(codes[..., class_id], np.uint8)) for class_id in range(class_count)]
    nothing = rle_encode(np.zeros(codes.shape, np.bool_))
    there, masks = rle_encode_labels(codes, background=None)
    found = dict(zip(there.tolist(), masks, strict=True))
    return [found.get(class_id, nothing) for class_id in range(class_count)]


def class_png(codes: Codes) -> bytes:
    """Return codes of at most 256 classes as an 8-bit grey PNG: of several classes the most probable one."""
    pixels = codes if codes.ndim == 2 else np.ascontiguousarray(codes[..., -1])
    return png_of(pixels.astype(np.uint8, copy=False))


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    """Return 8-bit grey pixels [height, width] as a PNG."""
    is_written, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not is_written:
        raise ValueError(f"OpenCV cannot write a PNG of {pixels.shape}")
    return data.tobytes()
