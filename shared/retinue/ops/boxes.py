"""What is done to boxes one by one: formats, areas, clipping, sieving and scaling."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retinue.ops._arrays import Float, float_boxes, number

BoxFormat = Literal["xyxy", "xywh", "cxcywh"]

_FORMATS = ("xyxy", "xywh", "cxcywh")


def convert_boxes(boxes: NDArray[Float], source: BoxFormat, target: BoxFormat) -> NDArray[Float]:
    """Return boxes in another format.

    Args:
        boxes: (n, 4) float32 or float64; other real dtypes count as float64.
        source: the format they are in: ``"xyxy"`` for two corners, ``"xywh"`` for the upper left corner, width and
            height, ``"cxcywh"`` for the centre, width and height.
        target: the format to return, one of the same three.

    Returns:
        (n, 4) in the same dtype and unit; a copy where the formats are the same.

    Raises:
        ValueError: boxes are not (n, 4) or not finite, or a format is none of the three.

    Notes:
        Boxes are continuous: a width is ``x2 - x1``, without the 1 that some count for the last pixel. A box that is
        reversed in one format has a negative size in the others. A side beyond the range of the dtype is infinite.

    Source:
        torchvision's `box_convert` and its arithmetic: what is neither from nor to corners passes through corners.

    >>> convert_boxes(np.array([[10.0, 20.0, 30.0, 60.0]]), "xyxy", "cxcywh")
    array([[20., 40., 20., 40.]])
    """
    for name, value in (("source", source), ("target", target)):
        if value not in _FORMATS:
            raise ValueError(f"{name}: must be one of {', '.join(_FORMATS)}, got {value!r}")
    result = float_boxes(boxes).copy()
    if source == target:
        return result
    first, second = result[:, :2], result[:, 2:]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if source == "xywh":
            second += first
        elif source == "cxcywh":
            half = 0.5 * second
            second[...] = first + half
            first -= half
        if target == "xywh":
            second -= first
        elif target == "cxcywh":
            middle = (first + second) / 2
            second -= first
            first[...] = middle
    return result


def box_area(boxes: NDArray[Float]) -> NDArray[Float]:
    """Return the area of each box, ``(x2 - x1) * (y2 - y1)``.

    Args:
        boxes: (n, 4) corners ``x1, y1, x2, y2``, float32 or float64; other real dtypes count as float64, so that no
            whole number wraps around.

    Returns:
        (n,) in the same dtype, in the squared unit of the boxes.

    Raises:
        ValueError: boxes are not (n, 4) or not finite.

    Notes:
        The product is signed: a box that is reversed along one axis has a negative area, along both a positive one.
        An area beyond the range of the dtype is infinite.

    Source:
        torchvision's `box_area`.

    >>> box_area(np.array([[0.0, 0.0, 2.0, 3.0], [2.0, 0.0, 0.0, 3.0]]))
    array([ 6., -6.])
    """
    array = float_boxes(boxes)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        area: NDArray[Float] = (array[:, 2] - array[:, 0]) * (array[:, 3] - array[:, 1])
    return area


def clip_boxes(boxes: NDArray[Float], height: float, width: float) -> NDArray[Float]:
    """Return boxes cut to an image: x to [0, width], y to [0, height].

    Args:
        boxes: (n, 4) corners ``x1, y1, x2, y2`` in the unit of the image, float32 or float64; other real dtypes count
            as float64.
        height: of the image, at least 0; of an image in pixels the number of rows.
        width: of the image, at least 0.

    Returns:
        (n, 4) in the same dtype.

    Raises:
        ValueError: boxes are not (n, 4) or not finite, or a size is negative or not finite.

    Notes:
        The last pixel ends at `width`, so boxes are clipped to `width` and not to ``width - 1``. A box outside the
        image keeps no area.

    Source:
        torchvision's `clip_boxes_to_image`.

    >>> clip_boxes(np.array([[-5.0, 10.0, 700.0, 500.0]]), height=480, width=640)
    array([[  0.,  10., 640., 480.]])
    """
    array = float_boxes(boxes)
    size = np.array([number(width, "width", at_least=0), number(height, "height", at_least=0)], dtype=array.dtype)
    clipped: NDArray[Float] = np.minimum(np.maximum(array, 0), np.concatenate((size, size)))
    return clipped


def drop_small_boxes(boxes: NDArray[Float], min_size: float) -> NDArray[np.intp]:
    """Return the indices of the boxes that are at least so wide and so high.

    Args:
        boxes: (n, 4) corners ``x1, y1, x2, y2``, float32 or float64; other real dtypes count as float64.
        min_size: the least width and height, in the unit of the boxes.

    Returns:
        (m,) indices into `boxes`, in its order.

    Raises:
        ValueError: boxes are not (n, 4) or not finite, or `min_size` is not finite.

    Notes:
        A box of exactly that size is kept.

    Source:
        torchvision's `remove_small_boxes`.

    >>> drop_small_boxes(np.array([[0.0, 0.0, 1.0, 5.0], [0.0, 0.0, 2.0, 2.0]]), 2)
    array([1])
    """
    array = float_boxes(boxes)
    least = number(min_size, "min_size")
    with np.errstate(over="ignore"):
        sizes = array[:, 2:] - array[:, :2]
    return ((sizes[:, 0] >= least) & (sizes[:, 1] >= least)).nonzero()[0]


def scale_boxes(
    boxes: NDArray[Float], source_size: tuple[float, float], target_size: tuple[float, float]
) -> NDArray[Float]:
    """Return boxes of one image in the frame of the same image at another size.

    Args:
        boxes: (n, 4) corners ``x1, y1, x2, y2`` in pixels of the source, float32 or float64; other real dtypes count
            as float64.
        source_size: height and width of the image the boxes are of, above 0.
        target_size: height and width it has been resized to, at least 0.

    Returns:
        (n, 4) in the same dtype, in pixels of the target.

    Raises:
        ValueError: boxes are not (n, 4) or not finite, or a size is not two numbers in range.

    Notes:
        Give the sizes that the image really has, not the factor it was to be resized by: sizes are whole pixels, so
        that both axes scale a little differently.

    Source:
        torchvision's `resize_boxes`: one ratio for each axis, of sizes and rounded as the dtype of the boxes.

    >>> scale_boxes(np.array([[10.0, 10.0, 20.0, 20.0]]), source_size=(100, 200), target_size=(50, 400))
    array([[20.,  5., 40., 10.]])
    """
    array = float_boxes(boxes)
    old, new = _size(source_size, "source_size", array), _size(target_size, "target_size", array)
    if not (old > 0).all():
        raise ValueError(f"source_size: must be above 0, got {source_size!r}")
    with np.errstate(over="ignore", under="ignore"):
        ratio = new / old
        scaled: NDArray[Float] = array * ratio[[1, 0, 1, 0]]
    return scaled


def _size(size: tuple[float, float], name: str, like: NDArray[Float]) -> NDArray[Float]:
    if np.shape(size) != (2,):
        raise ValueError(f"{name}: must be height and width, got {size!r}")
    return np.array([number(side, name, at_least=0) for side in size], dtype=like.dtype)
