"""Instances found tile by tile become one set in the frame of the whole picture."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import number, whole_number
from retinue.ops._labels import label_runs
from retinue.ops._runs import run_starts
from retinue.ops.label_maps import MaskCrop, relabel_sequential


class TilePlace(Protocol):
    """Where a tile lies: anything with the row and the column of its first pixel, in the frame of the picture."""

    @property
    def y(self) -> int:
        """Row of the tile's first pixel."""

    @property
    def x(self) -> int:
        """Column of the tile's first pixel."""


@dataclass(frozen=True, slots=True, eq=False)
class MergedInstance:
    """One instance of the whole picture.

    Args:
        label: its id, from 1, in the order in which instances were finished.
        area: pixels.
        box: ``x1, y1, x2, y2`` pixels of the picture, half-open.
        runs: (n, 3) int64 ``y, x1, x2``, half-open in x, in raster order, no two touching: its pixels.
        sums: (k,) float64 what was said of its parts, added up; empty where nothing was.
    """

    label: int
    area: int
    box: tuple[int, int, int, int]
    runs: NDArray[np.int64]
    sums: NDArray[np.float64]

    def crop(self) -> MaskCrop:
        """Return the mask, cut to the box."""
        left, top, right, bottom = self.box
        mask = np.zeros((bottom - top, right - left), np.bool_)
        for y, start, end in (self.runs - (top, left, left)).tolist():
            mask[y, start:end] = True
        return MaskCrop(top, left, mask)


def merge_across_seams(
    tiles: Iterable[tuple[TilePlace, ArrayLike]], *, ios_threshold: float = 0.5
) -> Iterator[MergedInstance]:
    """Return an iterator over the instances of the whole picture, each as soon as no later tile can touch it.

    Two instances of different tiles are one where they share enough of the band in which the tiles overlap: at least
    ``ios_threshold`` of the smaller of the two areas that they have in the band. What is one by that rule in several
    steps is one, so that an instance may cross any number of tiles; it has all pixels that any tile gives it. Tiles
    that do not overlap share nothing and merge nothing.

    Args:
        tiles: places and label maps (h, w), integers in [0, 2**31 - 1] or bool, 0 is background; ids mean nothing
            beyond their tile. Rows of tiles from the top down; within a row, which is tiles of one y, in any order.
        ios_threshold: in [0, 1]. 0 merges whatever shares a pixel, as fits exact masks: components of tiles then become
            the components of the picture, whatever their shape, given an overlap of one pixel.

    Returns:
        Instances; those that end above the row that comes next, before it is looked at, in raster order of their first
        pixel; the rest at the end. Ids and masks depend on the tiles, not on the order within a row.

    Raises:
        ValueError: a label map is none, a place is negative, a row comes after one below it, or ios_threshold is
            outside [0, 1].

    Notes:
        It holds the label maps of one row of tiles, of earlier ones what reaches into it, and the runs of instances
        that are not finished. Different instances may overlap in a band, where two tiles disagree;
        `instances_to_label_map` decides whose a pixel is.

    Source:
        The intersection over the smaller (IoS) of sahi's postprocessing, taken within the band; transitive as its NMM.

    >>> class Place(NamedTuple):
    ...     y: int
    ...     x: int
    >>> tiles = [(Place(0, 0), np.array([[0, 0, 7, 7]])), (Place(0, 2), np.array([[4, 4, 4, 0]]))]
    >>> [(found.label, found.area, found.box) for found in merge_across_seams(tiles)]
    [(1, 3, (2, 0, 5, 1))]
    """
    merger = SeamMerger(ios_threshold=ios_threshold)
    return _merged(merger, tiles)


class SeamMerger:
    """What `merge_across_seams` does, for tiles that come one at a time: `add` each, then `finish`.

    Args:
        ios_threshold: see there.
    """

    def __init__(self, *, ios_threshold: float = 0.5) -> None:
        self._ios_threshold = number(ios_threshold, "ios_threshold", at_least=0, at_most=1)
        self._row = 0
        self._tiles: list[_Tile] = []
        self._runs: dict[int, NDArray[np.int64]] = {}  # of each unfinished part; a part is an instance of one tile
        self._bottoms: dict[int, int] = {}
        self._sums: dict[int, NDArray[np.float64]] = {}
        self._parents: dict[int, int] = {}
        self._part_count = 0
        self._finished_count = 0

    def add(self, place: TilePlace, label_map: ArrayLike, sums: ArrayLike | None = None) -> list[MergedInstance]:
        """Take a tile, and return the instances that it and all later ones are too low to touch.

        Args:
            place: where the tile lies.
            label_map: (h, w) integers in [0, 2**31 - 1] or bool, 0 is background.
            sums: (n, k) numbers of each instance of the tile, by ascending id, that are added up where parts become
                one: pixels of each class, say. What lies in two tiles counts twice. None: there are none.

        Raises:
            ValueError: see `merge_across_seams`; or `sums` has not one row for each instance.
        """
        y = whole_number(place.y, "place.y", at_least=0)
        x = whole_number(place.x, "place.x", at_least=0)
        if y < self._row:
            raise ValueError(f"place.y: must be at least that of the tile before, {self._row}, got {y}")
        dense, ids = relabel_sequential(label_map)
        said = np.zeros((len(ids), 0)) if sums is None else np.asarray(sums, np.float64)
        if said.ndim != 2 or len(said) != len(ids):
            raise ValueError(f"sums: must be ({len(ids)}, k), one row for each instance, got {said.shape}")
        finished = self._finished_above(y) if y > self._row else []
        self._row = y
        tile = _Tile(y, x, dense, self._part_count)
        self._take_parts(tile, said)
        for other in self._tiles:
            self._join(other, tile)
        # What is kept is kept small: two bytes a pixel where they do.
        self._tiles.append(tile._replace(labels=dense.astype(np.min_scalar_type(len(ids)), copy=False)))
        return finished

    def finish(self) -> list[MergedInstance]:
        """Return the instances that are left, and begin anew with the next tile."""
        finished = self._finished_above(None)
        self._row = self._finished_count = 0
        return finished

    def _take_parts(self, tile: "_Tile", sums: NDArray[np.float64]) -> None:
        """Note the runs of each instance of a tile, and what is said of it."""
        pixels, starts = label_runs(tile.labels)
        width = pixels.shape[1]
        owners = pixels.ravel()[starts[:-1]]
        places = owners.nonzero()[0]
        places = places[np.argsort(owners[places], kind="stable")]
        begins, ends = starts[places].astype(np.int64), starts[places + 1]
        rows = begins // max(width, 1)
        runs = np.stack([rows + tile.y, begins - rows * width + tile.x, ends - rows * width + tile.x], axis=1)
        owners = owners[places]
        bounds = np.flatnonzero(np.diff(owners, prepend=0, append=owners[-1] + 1 if len(owners) else 0))
        for begin, end, said in zip(bounds[:-1].tolist(), bounds[1:].tolist(), sums, strict=True):
            part = self._part_count
            self._sums[part] = said.copy()
            self._runs[part] = runs[begin:end].copy()  # not a view, which would hold all runs of the tile
            self._bottoms[part] = int(runs[end - 1, 0]) + 1
            self._parents[part] = part
            self._part_count += 1

    def _join(self, one: "_Tile", two: "_Tile") -> None:
        """Make one of the instances of two tiles that agree enough in the band."""
        top, left = max(one.y, two.y), max(one.x, two.x)
        bottom = min(one.bottom, two.bottom)
        right = min(one.x + one.labels.shape[1], two.x + two.labels.shape[1])
        if top >= bottom or left >= right:
            return
        ones, twos = (
            tile.labels[top - tile.y : bottom - tile.y, left - tile.x : right - tile.x] for tile in (one, two)
        )
        pairs = ones.astype(np.int64) << 32 | twos
        starts = run_starts(pairs)
        pairs, places = np.unique(pairs.ravel()[starts[:-1]], return_inverse=True)
        shared = np.bincount(places, weights=np.diff(starts))
        ones, twos = pairs >> 32, pairs & 0xFFFFFFFF
        smaller = np.minimum(np.bincount(ones, weights=shared)[ones], np.bincount(twos, weights=shared)[twos])
        is_same = (ones > 0) & (twos > 0) & (shared / smaller >= self._ios_threshold)
        for first, second in zip(ones[is_same].tolist(), twos[is_same].tolist(), strict=True):
            self._unite(one.first_part + first - 1, two.first_part + second - 1)

    def _unite(self, one: int, two: int) -> None:
        one, two = self._root(one), self._root(two)
        self._parents[max(one, two)] = min(one, two)

    def _root(self, part: int) -> int:
        while self._parents[part] != part:
            self._parents[part] = self._parents[self._parents[part]]
            part = self._parents[part]
        return part

    def _finished_above(self, row: int | None) -> list[MergedInstance]:
        """Return the instances that end above a row, all for None, and forget them and the tiles that do."""
        groups: dict[int, list[int]] = {}
        for part in self._runs:
            groups.setdefault(self._root(part), []).append(part)
        found: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
        for parts in groups.values():
            if row is None or max(self._bottoms[part] for part in parts) <= row:
                sums = np.sum([self._sums.pop(part) for part in parts], axis=0)
                found.append((_united([self._runs.pop(part) for part in parts]), sums))
                for part in parts:
                    del self._bottoms[part], self._parents[part]
        self._tiles = [] if row is None else [tile.below(row) for tile in self._tiles if tile.bottom > row]
        # Runs are in raster order, so that they sort by their first pixel; the rest decides between overlapping ones.
        # Bytes of whole numbers in this order sort as they do.
        found.sort(key=lambda one: one[0].astype(">i8").tobytes())
        first = self._finished_count + 1
        self._finished_count += len(found)
        return [_instance(label, runs, sums) for label, (runs, sums) in enumerate(found, first)]


class _Tile(NamedTuple):
    """A tile whose label map may still meet a later one: its part with id i is number ``first_part + i - 1``."""

    y: int
    x: int
    labels: NDArray[np.integer]
    first_part: int

    @property
    def bottom(self) -> int:
        """The row after its last."""
        return self.y + len(self.labels)

    def below(self, row: int) -> "_Tile":
        """Return its rows from one on, all that tiles which begin there can meet."""
        return self if row <= self.y else self._replace(y=row, labels=self.labels[row - self.y :].copy())


def _merged(merger: SeamMerger, tiles: Iterable[tuple[TilePlace, ArrayLike]]) -> Iterator[MergedInstance]:
    for place, label_map in tiles:
        yield from merger.add(place, label_map)
    yield from merger.finish()


def _united(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the runs of all parts together, in raster order, none touching another."""
    if len(parts) == 1:
        return parts[0]
    runs = np.concatenate(parts)
    runs = runs[np.lexsort((runs[:, 1], runs[:, 0]))]
    begins, ends = runs[:, 0] << 32 | runs[:, 1], runs[:, 0] << 32 | runs[:, 2]
    reached = np.maximum.accumulate(ends)
    is_first = np.append(True, begins[1:] > reached[:-1])
    last = np.append(np.flatnonzero(is_first)[1:] - 1, len(runs) - 1)
    return np.stack([runs[is_first, 0], runs[is_first, 1], reached[last] & 0xFFFFFFFF], axis=1)


def _instance(label: int, runs: NDArray[np.int64], sums: NDArray[np.float64]) -> MergedInstance:
    box = (int(runs[:, 1].min()), int(runs[0, 0]), int(runs[:, 2].max()), int(runs[-1, 0]) + 1)
    return MergedInstance(label, int((runs[:, 2] - runs[:, 1]).sum()), box, runs, sums)
