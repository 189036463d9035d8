"""Label maps and what they are made of: to single instances and back, and ids without gaps."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import float_vector, whole_number
from retinue.ops._labels import label_runs
from retinue.ops._runs import MOST_PIXELS
from retinue.ops.instances import InstanceProperties, instance_properties, replaced_ids


class MaskCrop(NamedTuple):
    """The mask of one instance, cut to its box.

    Args:
        y: row of the picture in which the crop's first row lies, pixels.
        x: column of the picture in which the crop's first column lies, pixels.
        mask: (h, w) bool.
    """

    y: int
    x: int
    mask: NDArray[np.bool_]


def label_map_to_instances(label_map: ArrayLike) -> Iterator[tuple[int, MaskCrop]]:
    """Return an iterator over the id and the mask of each instance, in ascending order of ids.

    One mask is made at a time and is as large as its instance: a picture with many instances never needs the memory of
    as many pictures.

    Args:
        label_map: (H, W) integers in [0, 2**31 - 1] or bool, 0 is background. Leave it as it is while you iterate.

    Returns:
        Pairs ``id, (y, x, mask)``: ``label_map[y : y + h, x : x + w] == id``.

    Raises:
        ValueError: label_map is no such map; at once, not at the first step.

    >>> for label, (y, x, mask) in label_map_to_instances(np.array([[0, 7, 7], [0, 0, 7]])):
    ...     print(label, y, x, mask.tolist())
    7 0 1 [[True, True], [False, True]]
    """
    pixels, _ = label_runs(label_map)
    return _crops(pixels, instance_properties(pixels))


def instances_to_label_map(
    instances: Iterable[tuple[int, int, NDArray[Any]]], height: int, width: int, *, scores: ArrayLike | None = None
) -> NDArray[np.int32]:
    """Return a label map into which instances are painted; the n-th of them, counted from 1, has the id n.

    Args:
        instances: triples ``y, x, mask``: a (h, w) bool mask and where its first pixel lies in the picture.
        height: of the picture, pixels, at least 0.
        width: of the picture, pixels, at least 0.
        scores: (n,) real numbers. Where instances overlap, the pixel goes to the one of higher score, and of equal
            scores to the earlier. None: to the later instance.

    Returns:
        (height, width) int32. An instance that others cover leaves no pixel, and its id is then missing.

    Raises:
        ValueError: a mask is no two-dimensional bool, or does not lie in the picture; height or width is negative, no
            whole number, or their product above 2**31 - 1; there is not one finite score per instance.

    >>> full = np.ones((1, 2), dtype=bool)
    >>> instances_to_label_map([(0, 0, full), (0, 1, full)], 1, 4)
    array([[1, 2, 2, 0]], dtype=int32)
    >>> instances_to_label_map([(0, 0, full), (0, 1, full)], 1, 4, scores=[0.9, 0.4])
    array([[1, 1, 2, 0]], dtype=int32)
    """
    height = whole_number(height, "height", at_least=0)
    width = whole_number(width, "width", at_least=0)
    if height * width > MOST_PIXELS:
        raise ValueError(f"height, width: must have a product of at most {MOST_PIXELS}, got {height} x {width}")
    crops = [_checked(instance, place, height, width) for place, instance in enumerate(instances)]
    order = np.arange(len(crops))
    if scores is not None:
        # Painted from the worst to the best: a stable descending order, from its end.
        order = np.argsort(-float_vector(np.asarray(scores), "scores", len(crops)), kind="stable")[::-1]
    label_map = np.zeros((height, width), np.int32)
    for place in order.tolist():
        y, x, mask = crops[place]
        label_map[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = place + 1
    return label_map


def relabel_sequential(label_map: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the label map with the ids 1 to n, in the order of the old ids, and the old ids.

    Args:
        label_map: (H, W) integers in [0, 2**31 - 1] or bool, 0 is background; there need not be any.

    Returns:
        (H, W) int32 and (n,) int64: what has id i now, had ``old_ids[i - 1]``.

    Raises:
        ValueError: label_map is no such map.

    >>> relabel_sequential(np.array([[9, 9], [4, 9]]))
    (array([[2, 2], [1, 2]], dtype=int32), array([4, 9]))
    """
    pixels, starts = label_runs(label_map)
    heads = np.unique(pixels.ravel()[starts[:-1]])
    old_ids = heads[heads > 0]
    new_ids = np.arange(1, len(old_ids) + 1, dtype=np.int32)
    if not len(old_ids) or old_ids[-1] == len(old_ids):
        return pixels.copy(), old_ids.astype(np.int64)
    return replaced_ids(pixels, starts, old_ids, new_ids), old_ids.astype(np.int64)


def _crops(pixels: NDArray[np.int32], found: InstanceProperties) -> Iterator[tuple[int, MaskCrop]]:
    for label, (left, top, right, bottom) in zip(found.labels.tolist(), found.boxes.tolist(), strict=True):
        yield label, MaskCrop(top, left, pixels[top:bottom, left:right] == label)


def _checked(instance: tuple[int, int, NDArray[Any]], place: int, height: int, width: int) -> MaskCrop:
    """Return an instance as a crop, if its mask is one and lies in the picture."""
    y = whole_number(instance[0], f"instances[{place}].y", at_least=0)
    x = whole_number(instance[1], f"instances[{place}].x", at_least=0)
    mask = np.asarray(instance[2])
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise ValueError(f"instances[{place}].mask: must be bool (h, w), got {mask.dtype} {mask.shape}")
    if y + mask.shape[0] > height or x + mask.shape[1] > width:
        raise ValueError(
            f"instances[{place}].mask: must lie in the picture {(height, width)}, got {mask.shape} at {(y, x)}"
        )
    return MaskCrop(y, x, mask)
