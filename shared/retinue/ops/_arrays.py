"""What operations ask of their arguments: real, finite numbers of the right shape, or a ValueError that names them."""

import math
import operator
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = TypeVar("Float", np.float32, np.float64)


def finite_floats(values: NDArray[Float], name: str) -> NDArray[Float]:
    """Return the values as float32 where they are float32, otherwise as float64.

    Raises:
        ValueError: they are no real numbers, or one is NaN or infinite.
    """
    array: NDArray[Float] = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name}: must be real numbers, got dtype {array.dtype}")
    if array.dtype != np.float32:
        array = cast("NDArray[Float]", array.astype(np.float64, copy=False))
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: must be finite, got NaN or infinity")
    return array


def finite_rows(values: NDArray[Float], name: str) -> NDArray[Float]:
    """Return the values as `finite_floats` does, if they lie along at least one axis.

    Raises:
        ValueError: as there, or it is a single number.
    """
    array = finite_floats(values, name)
    if array.ndim == 0:
        raise ValueError(f"{name}: must have at least one axis, got a single number")
    return array


def class_logits(logits: NDArray[Float], name: str = "logits") -> NDArray[Float]:
    """Return logits [..., classes] as `finite_rows` does, if there is at least one class.

    Raises:
        ValueError: as there, or the last axis is empty.
    """
    array = finite_rows(logits, name)
    if array.shape[-1] == 0:
        raise ValueError(f"{name}: must have at least one class along the last axis, got shape {array.shape}")
    return array


def whole_number(value: int, name: str, *, at_least: int) -> int:
    """Return a Python int of at least `at_least`.

    Raises:
        ValueError: it is no whole number, or below.
    """
    try:
        number = operator.index(value)
    except TypeError as error:
        raise ValueError(f"{name}: must be a whole number, got {value!r}") from error
    if number < at_least:
        raise ValueError(f"{name}: must be at least {at_least}, got {number}")
    return number


def number(
    value: float, name: str, *, at_least: float = -math.inf, above: float = -math.inf, at_most: float = math.inf
) -> float:
    """Return a finite Python float in the range.

    Raises:
        ValueError: it is no finite number, or outside the range.
    """
    try:
        result = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: must be a number, got {value!r}") from error
    if not (math.isfinite(result) and at_least <= result <= at_most and result > above):
        bounds = [f"at least {at_least:g}"] * (at_least > -math.inf) + [f"above {above:g}"] * (above > -math.inf)
        allowed = " and ".join(["finite", *bounds, *[f"at most {at_most:g}"] * (at_most < math.inf)])
        raise ValueError(f"{name}: must be {allowed}, got {value!r}")
    return result


def float_boxes(boxes: NDArray[Float], name: str = "boxes") -> NDArray[Float]:
    """Return boxes [n, 4] as `finite_floats` does; an empty list counts as no boxes.

    Raises:
        ValueError: as there, or the shape is another.
    """
    array = finite_floats(boxes, name)
    if array.shape == (0,):
        return array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"{name}: must be (n, 4), got {array.shape}")
    return array


def float_vector(values: NDArray[Float], name: str, length: int | None = None) -> NDArray[Float]:
    """Return values [n] as `finite_floats` does, of the length asked for.

    Raises:
        ValueError: as there, or the shape is another.
    """
    array = finite_floats(values, name)
    if array.ndim != 1 or (length is not None and len(array) != length):
        raise ValueError(f"{name}: must be ({'n' if length is None else length},), got {array.shape}")
    return array


def whole_vector(values: ArrayLike, name: str, length: int | None = None) -> NDArray[np.int64]:
    """Return integers [n] as int64, of the length asked for; an empty list counts as none.

    Raises:
        ValueError: they are no integers, do not fit int64, or the shape is another.
    """
    array = np.asarray(values)
    if array.shape == (0,):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu" or (
        array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max
    ):
        raise ValueError(f"{name}: must be integers of at most 64 bits, got dtype {array.dtype}")
    if array.ndim != 1 or (length is not None and len(array) != length):
        raise ValueError(f"{name}: must be ({'n' if length is None else length},), got {array.shape}")
    return array.astype(np.int64, copy=False)


def native(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array as kernels take it: C order, aligned, native bytes, writeable; itself where it is so already."""
    if array.flags.carray and array.dtype.isnative:  # `np.require` would say the same, and take ten times as long
        return array
    return np.require(array, array.dtype.newbyteorder("="), ["C", "A", "W"])
