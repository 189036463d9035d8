"""Connected components of masks and of label maps, numbered as the eye reads."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import native
from retinue.ops._kernel import kernel
from retinue.ops._runs import MOST_PIXELS, joined_runs, run_starts


def connected_components(mask: ArrayLike, *, connectivity: Literal[4, 8]) -> tuple[NDArray[np.int32], int]:
    """Return the connected components of a mask, each with a number of its own, and how many there are.

    Args:
        mask: (H, W) bool, or integers: 0 is background, and pixels are joined only where their values are equal, so
            that a label map falls into the parts of its instances and a 0/255 picture into its spots.
        connectivity: 4 joins pixels that share a side, 8 also those that share a corner. There is no default, because
            peers differ in theirs.

    Returns:
        (H, W) int32 labels, 0 for background, and the number of components. Labels count from 1 in raster order of each
        component's first pixel: top row first, left to right.

    Raises:
        ValueError: mask is no bool or integers, not (H, W) or above 2**31 - 1 pixels, or connectivity is neither 4 nor
            8.

    Notes:
        An empty mask has no components.

    Source:
        Runs of pixels joined by union-find (Rosenfeld and Pfaltz, 1966). Labels are those of `scipy.ndimage.label` and
        `skimage.measure.label`; `cv2.connectedComponents` numbers otherwise at connectivity 8, where it walks in blocks
        of 2 x 2.

    >>> connected_components(np.array([[1, 0, 1], [0, 1, 0]], dtype=bool), connectivity=4)
    (array([[1, 0, 2], [0, 3, 0]], dtype=int32), 3)
    >>> connected_components(np.array([[1, 0, 1], [0, 1, 0]], dtype=bool), connectivity=8)[1]
    1
    """
    values = np.asarray(mask)
    if values.dtype.kind not in "biu":
        raise ValueError(f"mask: must be bool or integers, got dtype {values.dtype}")
    if values.ndim != 2:
        raise ValueError(f"mask: must be (H, W), got {values.shape}")
    if values.size > MOST_PIXELS:
        raise ValueError(f"mask: must have at most {MOST_PIXELS} pixels, got {values.size}")
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity: must be 4 or 8, got {connectivity!r}")
    pixels = native(_as_kernel_type(values))
    labels = np.zeros(pixels.shape, np.int32)
    return labels, _label(pixels.ravel(), run_starts(pixels), labels, connectivity == 8)


def _as_kernel_type(values: NDArray[Any]) -> NDArray[Any]:
    """Return the values as one of the three types that the kernel is compiled for; equal values stay equal."""
    if values.dtype.itemsize == 1:
        return values.view(np.uint8)
    return values.astype(np.int32 if values.dtype.itemsize <= 4 and values.dtype != np.uint32 else np.int64, copy=False)


@kernel(
    "(u1[::1], i4[::1], i4[:,::1], b1)",
    "(i4[::1], i4[::1], i4[:,::1], b1)",
    "(i8[::1], i4[::1], i4[:,::1], b1)",
)
def _label(pixels: NDArray[Any], starts: NDArray[np.int32], labels: NDArray[np.int32], is_diagonal: bool) -> int:  # noqa: FBT001
    """Write the labels of components into zeros and return how many there are."""
    parents = joined_runs(pixels, starts, labels.shape[1], 1 if is_diagonal else 0)
    count = 0
    flat = labels.ravel()
    for run in range(starts.size - 1):
        start, end = starts[run], starts[run + 1]
        if pixels[start] != 0:
            if parents[run] == run:
                count += 1
                label = count
            else:
                label = flat[starts[parents[run]]]
            for at in range(start, end):
                flat[at] = label
    return count
