"""Where the plates with the names of boxes go: inside the picture, beside their boxes, none over another."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]
"""Width and height, pixels."""

_ORDER_COST = 0.02  # between places that hide as much, the order decides; in shares of a box
_MAX_HIDDEN = 0.4  # shares of boxes that a plate may hide if a smaller one could stand in its place


@dataclass(frozen=True, slots=True)
class Plate:
    """A place for the plate of a box.

    Args:
        index: of the box.
        variant: which of the sizes has room.
        left: pixels.
        top: pixels.
    """

    index: int
    variant: int
    left: int
    top: int


def place_plates(boxes: NDArray[np.int64], sizes: Iterable[Sequence[Size]], canvas: Size, gap: int) -> Iterator[Plate]:
    """Yield a place for the plate of each box where there is room for one; no plate lies over another.

    Args:
        boxes: (n, 4) corners ``left, top, right, bottom``, pixels, each with an area, the most important box first.
        sizes: for each box, the plate's sizes to try, the best first; boxes after the last get no plate.
        canvas: in which all plates lie; a plate that is larger gets no place.
        gap: free pixels between plates.
    """
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    taken = np.empty((0, 4), np.int64)
    for index, variants in enumerate(sizes):
        for variant, size in enumerate(variants):
            places = _places(boxes[index], size, canvas)
            places = places[~(_shared_areas(places, taken) > 0).any(axis=1)]
            if not len(places):
                continue
            hidden = _hidden_shares(places, boxes, areas)
            best = int(np.argmin(hidden + _ORDER_COST * np.arange(len(places))))
            if hidden[best] > _MAX_HIDDEN and variant < len(variants) - 1:
                continue
            left, top, right, bottom = places[best].tolist()
            taken = np.vstack([taken, [[left - gap, top - gap, right + gap, bottom + gap]]])
            yield Plate(index, variant, left, top)
            break


def _places(box: NDArray[np.int64], size: Size, canvas: Size) -> NDArray[np.int64]:
    """Return where a plate of this size may go, best first, pushed into the canvas: (places, 4) corners."""
    (x_1, y_1, x_2, y_2), (width, height), (canvas_width, canvas_height) = box.tolist(), size, canvas
    if width > canvas_width or height > canvas_height:
        return np.empty((0, 4), np.int64)
    corners = np.array(
        [
            *((left, y_1 - height) for left in (x_1, x_2 - width)),  # above
            *((left, y_2) for left in (x_1, x_2 - width)),  # below
            *((left, top) for top in (y_1, y_2 - height) for left in (x_1, x_2 - width)),  # inside
            *((left, top) for top in (y_1, y_2 - height) for left in (x_2, x_1 - width)),  # beside
        ],
        np.int64,
    )
    corners = np.clip(corners, 0, [canvas_width - width, canvas_height - height])
    return np.hstack([corners, corners + np.array(size)])


def _hidden_shares(
    places: NDArray[np.int64], boxes: NDArray[np.int64], areas: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the shares of boxes that each place hides, added up, (places,)."""
    low, high = places[:, :2].min(axis=0), places[:, 2:].max(axis=0)
    near = np.flatnonzero((boxes[:, :2] < high).all(axis=1) & (boxes[:, 2:] > low).all(axis=1))
    shares: NDArray[np.float64] = (_shared_areas(places, boxes[near]) / areas[near]).sum(axis=1)
    return shares


def _shared_areas(places: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the area that each place shares with each other rectangle, (places, others)."""
    low = np.maximum(places[:, None, :2], others[None, :, :2])
    high = np.minimum(places[:, None, 2:], others[None, :, 2:])
    areas: NDArray[np.int64] = np.maximum(high - low, 0).prod(axis=2)
    return areas
