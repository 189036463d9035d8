"""What operations ask of their arguments: real, finite numbers of the right shape, or a ValueError that names them."""

import operator
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

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
