"""Numbers of a message as arrays: read at once, and refused by name where they cannot be used."""

import math
from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray

from retinue.runtime.errors import InvalidInput


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


def doubles(values: Collection[float], field: str, bounds: Bounds = ANY) -> NDArray[np.float64]:
    """Return the numbers of a repeated field as float64 [n].

    Raises:
        InvalidInput: one is not finite or out of bounds.
    """
    array = np.fromiter(values, np.float64, len(values))
    if not np.isfinite(array).all():
        place = int(np.isfinite(array).argmin())
        raise InvalidInput(field, f"value {place} is {array[place]}; finite numbers are required")
    check_bounds(array, field, bounds)
    return array


def check_bounds(array: NDArray[np.float64] | NDArray[np.int64], field: str, bounds: Bounds) -> None:
    """Raise InvalidInput unless all numbers are within bounds."""
    if array.size and not bounds.hold(least := array.min(), array.max()):
        place = int(array.argmax() if bounds.hold(least, least) else array.argmin())
        raise InvalidInput(field, f"value {place} is {array[place]:g}; {bounds} is allowed")


def rows_of(values: Collection[float], width: int, field: str, what: str, most: int) -> NDArray[np.float64]:
    """Return numbers that belong together in groups, as float64 [n, width].

    Args:
        values: of a repeated field.
        width: how many make one row.
        field: name of the field.
        what: what a row is, in the plural.
        most: how many rows are taken.

    Raises:
        InvalidInput: they are no whole rows, too many, or not finite.
    """
    count, rest = divmod(len(values), width)
    if rest:
        raise InvalidInput(field, f"has {len(values)} values; {what} take {width} each")
    if count > most:
        raise InvalidInput(field, f"has {count} {what}; at most {most} are allowed", limit=str(most))
    return doubles(values, field).reshape(count, width)


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
