"""Arrays as the lists of numbers that messages hold, and back."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]


def rows_of(values: ArrayLike | None, name: str, width: int) -> list[float]:
    """Return rows of numbers one after the other; none for None.

    Args:
        values: [n, width] real numbers, or empty.
        name: for the error.
        width: numbers in a row.

    Raises:
        ValueError: they are no such array; the message names it.

    >>> rows_of([[1, 2], [3, 4]], "points", 2)
    [1.0, 2.0, 3.0, 4.0]
    """
    if values is None:
        return []
    array = _array(values, name)
    if array.size and (array.ndim != 2 or array.shape[1] != width):
        raise ValueError(f"{name} has shape {list(array.shape)}, must be [n, {width}]")
    return _floats(array, name)


def numbers_of(values: ArrayLike | None, name: str) -> list[float]:
    """Return numbers [n] as a list; none for None.

    Raises:
        ValueError: they are no such array; the message names it.
    """
    if values is None:
        return []
    return _floats(_vector(values, name), name)


def integers_of(values: ArrayLike | None, name: str) -> list[int]:
    """Return integers [n] as a list; none for None.

    Raises:
        ValueError: they are no such array, or do not fit 32 bits; the message names it.
    """
    if values is None:
        return []
    array = _vector(values, name)
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"{name} has dtype {array.dtype}, must be integers")
    if array.size and not -(2**31) <= int(array.min()) <= int(array.max()) < 2**31:
        raise ValueError(f"{name} has numbers that do not fit 32 bits")
    whole: list[int] = array.astype(np.int64).tolist()
    return whole


def flags_of(values: ArrayLike | None, name: str) -> list[bool]:
    """Return booleans [n] as a list, none for None; 0 and 1 are taken too.

    Raises:
        ValueError: they are no such array; the message names it.
    """
    if values is None:
        return []
    array = _vector(values, name)
    if array.size and not (array.dtype == np.bool_ or (array.dtype.kind in "iu" and np.isin(array, (0, 1)).all())):
        raise ValueError(f"{name} has dtype {array.dtype}, must be booleans")
    flags: list[bool] = array.astype(np.bool_).tolist()
    return flags


def doubles(values: Sequence[float]) -> Doubles:
    """Return a message's numbers as float64 [n]."""
    return np.array(values[:], np.float64)  # a copy as a list: numpy takes the field itself twice as long


def indices(values: Sequence[int]) -> Indices:
    """Return a message's integers as int64 [n]."""
    return np.array(values[:], np.int64)


def _array(values: ArrayLike, name: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is ragged, must be an array") from error


def _vector(values: ArrayLike, name: str) -> NDArray[Any]:
    array = _array(values, name)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {list(array.shape)}, must be [n]")
    return array


def _floats(array: NDArray[Any], name: str) -> list[float]:
    if array.size and array.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {array.dtype}, must be real numbers")
    numbers: list[float] = array.astype(np.float64, copy=False).ravel().tolist()
    return numbers
