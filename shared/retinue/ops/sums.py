"""What layers of numbers come to over each instance of a label map."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import Float, native
from retinue.ops._kernel import kernel
from retinue.ops._labels import instance_slots, label_runs, slot_ids, slot_of


def instance_sums(label_map: ArrayLike, layers: NDArray[Float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the ids of a label map and the sum of each layer over the pixels of each.

    Args:
        label_map: (H, W) integers in [0, 2**31 - 1] or bool, 0 is background.
        layers: (layers, H, W) float32 or float64, such as the probabilities of classes; other real dtypes count as
            float64.

    Returns:
        ids: (n,) int64, those that occur, ascending.
        sums: (n, layers + 1) float64: the sum of each layer, and last how many pixels there are.

    Raises:
        ValueError: label_map is no such map, or layers are no real numbers or of another size.

    Notes:
        Sums are taken in float64, run by run of pixels from the top down. NaN and infinity go into the sums of their
        instance and of no other. Memory follows the number of ids, not the highest.

    >>> instance_sums(np.array([[0, 7, 7], [2, 0, 7]]), np.ones((1, 2, 3)) / 2)
    (array([2, 7]), array([[0.5, 1. ],
                           [1.5, 3. ]]))
    """
    pixels, starts = label_runs(label_map)
    values = _checked(layers, pixels.shape)
    count, ids = instance_slots(pixels, starts)
    sums = np.zeros((count, len(values) + 1))
    _add_runs(pixels.ravel(), starts, ids, values.reshape(len(values), pixels.size), sums)
    labels = slot_ids(count, ids)
    is_there = sums[:, -1] > 0
    return (labels, sums) if is_there.all() else (labels[is_there], sums[is_there])


def _checked(layers: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    values = np.asarray(layers)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"layers: must be real numbers, got dtype {values.dtype}")
    if values.ndim != 3 or values.shape[1:] != shape:
        raise ValueError(f"layers: must be (layers, {shape[0]}, {shape[1]}) like the label map, got {values.shape}")
    return native(values if values.dtype == np.float32 else values.astype(np.float64, copy=False))


@kernel("(i4[::1], i4[::1], i4[::1], f4[:,::1], f8[:,::1])", "(i4[::1], i4[::1], i4[::1], f8[:,::1], f8[:,::1])")
def _add_runs(
    pixels: NDArray[np.int32],
    starts: NDArray[np.int32],
    ids: NDArray[np.int32],
    layers: NDArray[Any],
    sums: NDArray[np.float64],
) -> None:
    for run in range(starts.size - 1):
        begin, end = starts[run], starts[run + 1]
        label = pixels[begin]
        if label == 0:
            continue
        slot = slot_of(ids, label)
        for layer in range(layers.shape[0]):
            total = 0.0
            for at in range(begin, end):
                total += layers[layer, at]
            sums[slot, layer] += total
        sums[slot, -1] += end - begin
