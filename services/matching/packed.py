"""Numbers of a message as arrays: taken from its bytes at once, and refused by name where they cannot be used.

A repeated field gives its numbers one by one, each as an object of Python: 40 nanoseconds a number. Written out again,
which protobuf does in C, the same field is one block of bytes that an array is made from as it is.
"""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from numpy.typing import NDArray

from retinue.runtime.errors import InvalidInput

Doubles = NDArray[np.float64]

_VARINT, _FIXED_64, _BLOCK, _FIXED_32 = 0, 1, 2, 5


class PackedFields:
    """The numbers of a message's repeated fields of doubles and floats.

    Args:
        message: any; fields that it does not know are passed over.

    Source:
        Protocol Buffers, "Encoding": a record is a tag of field number and wire type, then its value.
    """

    def __init__(self, message: Message) -> None:
        self._numbers = _numbers_of(message.DESCRIPTOR)
        self._blocks = _blocks(message.SerializeToString())

    def array(self, field: str, dtype: "np.dtype[Any]") -> NDArray[Any]:
        """Return the numbers of a field as they travel, [n], empty where it is absent; the array can be written."""
        return np.frombuffer(self._blocks.get(self._numbers[field], b""), dtype).copy()


@cache
def _numbers_of(descriptor: Descriptor) -> Mapping[str, int]:
    return {field.name: field.number for field in descriptor.fields}


def _blocks(data: bytes) -> dict[int, bytes]:
    """Return the blocks of a message that was just written, so that nothing in it has to be doubted."""
    blocks: dict[int, bytes] = {}
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position)
        kind = tag & 7
        if kind == _BLOCK:
            length, position = _varint(data, position)
            blocks.setdefault(tag >> 3, data[position : position + length])
            position += length
        elif kind == _VARINT:
            _, position = _varint(data, position)
        elif kind in (_FIXED_64, _FIXED_32):
            position += 8 if kind == _FIXED_64 else 4
        else:  # a group of an unknown field: those come last
            break
    return blocks


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return a number, and the place behind it."""
    byte = data[position]
    position += 1
    value, shift = byte & 127, 7
    while byte & 128:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
    return value, position


class Bounds(NamedTuple):
    """A range of finite numbers; an end belongs to it unless the range is open there."""

    least: float = -math.inf
    most: float = math.inf
    is_open_below: bool = False
    is_open_above: bool = False

    def hold(self, least: float, most: float) -> bool:
        """Return whether numbers from ``least`` to ``most`` are within; NaN is not."""
        is_above = self.least < least if self.is_open_below else self.least <= least
        return is_above and (most < self.most if self.is_open_above else most <= self.most)

    def __str__(self) -> str:
        if self.most == math.inf:
            return "any finite number" if self.least == -math.inf else f"at least {self.least:g}"
        below, above = "above " * self.is_open_below, "below " * self.is_open_above
        return f"{below}{self.least:g} to {above}{self.most:g}"


ANY: Final = Bounds()
DOUBLE: Final = np.dtype("<f8")
FLOAT: Final = np.dtype("<f4")


def numbers(fields: PackedFields, field: str, bounds: Bounds = ANY, *, dtype: "np.dtype[Any]" = DOUBLE) -> Doubles:
    """Return the numbers of a repeated field as float64 [n].

    Args:
        fields: of the message.
        field: its name.
        bounds: what they must be within.
        dtype: of the field, `DOUBLE` or `FLOAT`.

    Raises:
        InvalidInput: one is not finite or out of bounds.
    """
    array = fields.array(field, dtype).astype(np.float64, copy=False)
    if array.size:
        least, most = array.min(), array.max()  # NaN comes through both
        if not (least > -math.inf and most < math.inf):
            place = int(np.isfinite(array).argmin())
            raise InvalidInput(field, f"value {place} is {array[place]}; finite numbers are required")
        if not bounds.hold(least, most):
            raise _out_of_bounds(array, field, bounds)
    return array


def check_bounds(array: NDArray[np.int64], field: str, bounds: Bounds) -> None:
    """Raise InvalidInput unless all numbers are within bounds."""
    if array.size and not bounds.hold(array.min(), array.max()):
        raise _out_of_bounds(array, field, bounds)


def _out_of_bounds(array: NDArray[Any], field: str, bounds: Bounds) -> InvalidInput:
    least = array.min()
    place = int(array.argmax() if bounds.hold(least, least) else array.argmin())
    return InvalidInput(field, f"value {place} is {array[place]:g}; {bounds} is allowed")


def rows_of(
    fields: PackedFields, field: str, width: int, what: str, most: int, *, dtype: "np.dtype[Any]" = DOUBLE
) -> Doubles:
    """Return numbers that belong together in groups, as float64 [n, width].

    Args:
        fields: of the message.
        field: name of the repeated field.
        width: how many numbers make one row.
        what: what a row is, in the plural.
        most: how many rows are taken.
        dtype: of the field, `DOUBLE` or `FLOAT`.

    Raises:
        InvalidInput: they are no whole rows, too many, or not finite.
    """
    array = numbers(fields, field, dtype=dtype)
    count, rest = divmod(array.size, width)
    if rest:
        raise InvalidInput(field, f"has {array.size} values; {what} take {width} each")
    if count > most:
        raise InvalidInput(field, f"has {count} {what}; at most {most} are allowed", limit=str(most))
    return array.reshape(count, width)


def scalar(message: Message, field: str, default: float | None, bounds: Bounds) -> float:
    """Return an optional number of a message, its default where it is absent.

    Raises:
        InvalidInput: it is not finite or out of bounds.
    """
    if default is not None and not message.HasField(field):
        return default
    value = float(getattr(message, field))
    if not (math.isfinite(value) and bounds.hold(value, value)):
        raise InvalidInput(field, f"is {value:g}; {bounds} is allowed")
    return value
