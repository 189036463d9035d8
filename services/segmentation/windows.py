"""A picture of any size through overlapping windows, in memory that does not grow with its height.

Rows of pixels come from the top down. Windows lie on a plan of their own, whatever the caller's tiles are; as soon as
all rows of one are there it is cut out and goes to the engine's queue beside the items of other callers, no more at a
time than keep the workers busy. Answers are taken in the plan's order: codes are stitched to finished rows, things are
merged across seams and come out when no later window can change them.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retinue.ops import MergedInstance, RowStitcher, SeamMerger, plan_tiles
from retinue.ops.tiles import Axis
from retinue.runtime.caller import Caller
from retinue.runtime.engine import Engine
from retinue.runtime.errors import BackendFailed, Overloaded, RetinueError
from retinue.runtime.ticket import Ticket
from retinue.runtime.timings import Timings
from retinue.runtime.view import Cut, Size
from services.segmentation.codes import by_thresholds, most_probable
from services.segmentation.segmentations import (
    Blend,
    Codes,
    Segmentation,
    SegmentationItem,
    SegmentationOptions,
)

SegmentationEngine = Engine[SegmentationItem, Segmentation]
SegmentationTicket = Ticket[SegmentationItem, Segmentation]
_BAND_PIXELS = 1 << 20  # of blended probabilities that are decided at a time


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a picture is looked at.

    Args:
        tile_size_px: side of a window, at least 32.
        overlap_px: of neighbouring windows, less than that.
        blend: what a pixel is where windows overlap.
        reach_px: how far from the edge of a window what is beyond it makes a difference: half the receptive field.
        stride_px: what windows begin at multiples of, and their sides and overlaps are too: elsewhere the network's
            coarser maps would lie otherwise on the picture than those of the whole do.
    """

    tile_size_px: int
    overlap_px: int
    blend: Blend
    reach_px: int
    stride_px: int = 1


class Done(NamedTuple):
    """What is finished: rows of codes from the first that was not finished before, or things, or both."""

    rows: Codes
    things: list[MergedInstance]


class _Place(NamedTuple):
    """Where the core of a window lies in the picture, and above which row nothing is told of after it."""

    y: int
    x: int
    next_y: int


class Windows:
    """One picture under way.

    Args:
        engine: what looks at the windows.
        size: height and width of the picture.
        tiling: how to look.
        options: what the caller wants.
        caller: who waits.
    """

    def __init__(
        self, engine: SegmentationEngine, size: Size, tiling: Tiling, options: SegmentationOptions, caller: Caller
    ) -> None:
        self._engine = engine
        self._options = options
        self._caller = caller
        self._is_blended = tiling.blend != "crop"
        self._reach_px = tiling.reach_px
        plan = plan_tiles(*size, tiling.tile_size_px, tiling.overlap_px, align=tiling.stride_px)
        self._rows, self._columns = plan.rows, plan.columns
        self._stitcher = RowStitcher(plan, blend=tiling.blend)
        # Where windows see the same, things share all of the band; where they disagree they share less.
        self._merger = SeamMerger(ios_threshold=0.5)
        self._pixels = np.empty((self._rows.tile, size[1], 3), np.uint8)  # of one row of windows
        self._filled = 0
        self._row = 0
        self._under_way: deque[tuple[SegmentationTicket, _Place]] = deque()
        self.timings = Timings()

    def add(self, rows: NDArray[np.uint8]) -> Iterator[Done]:
        """Take the next rows of the picture, uint8 [n, width, 3], and yield what is finished meanwhile."""
        while len(rows):
            height = self._rows.length(self._row)
            taken = rows[: height - self._filled]
            self._pixels[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            rows = rows[len(taken) :]
            if self._filled == height:
                for column in range(self._columns.count):
                    yield from self._begun(column)
                self._begin_row()

    def settle(self) -> Iterator[Done]:
        """Yield what the rows that have come finish: all of it, before more of them come."""
        while self._under_way:
            yield self._taken()

    def finish(self) -> Iterator[Done]:
        """Yield the rest, when all rows have come."""
        yield from self.settle()
        yield Done(self._no_rows(), self._merger.finish())

    def close(self) -> None:
        """Let go of the windows that are under way."""
        for ticket, _ in self._under_way:
            ticket.cancel()
        self._under_way.clear()

    def _begin_row(self) -> None:
        """Keep of the pixels what the next row of windows shares with this one."""
        self._row += 1
        if self._row < self._rows.count:
            passed = self._rows.start(self._row) - self._rows.start(self._row - 1)
            self._filled -= passed
            self._pixels[: self._filled] = self._pixels[passed:].copy()

    def _begun(self, column: int) -> Iterator[Done]:
        """Put a window on its way, and yield what has to be finished first for that."""
        row, x = self._row, self._columns.start(column)
        cut = Cut(self._pixels[: self._filled, x : x + self._columns.length(column)].copy())
        core = _core(self._rows, row, self._reach_px), _core(self._columns, column, self._reach_px)
        y = self._rows.start(row) + core[0].start
        if column + 1 < self._columns.count or row + 1 == self._rows.count:
            next_y = y
        else:
            next_y = self._rows.start(row + 1) + _core(self._rows, row + 1, self._reach_px).start
        place = _Place(y, x + core[1].start, next_y)
        item = SegmentationItem(cut, self._options, core=core, is_blended=self._is_blended)
        most = 2 * self._engine.size.workers * self._engine.size.max_batch_size
        while len(self._under_way) >= most:
            yield self._taken()
        while (ticket := self._submitted(item)) is None:
            yield self._taken()
        self._under_way.append((ticket, place))

    def _submitted(self, item: SegmentationItem) -> SegmentationTicket | None:
        """Return the ticket of a window; None where the queue is full and that can be waited for."""
        try:
            return self._engine.submit(
                item, self._caller, byte_count=item.view.pixels().nbytes, is_patient=bool(self._under_way)
            )
        except Overloaded:
            if self._under_way:
                return None
            raise

    def _taken(self) -> Done:
        """Wait for the oldest window and return what it finishes."""
        ticket, place = self._under_way.popleft()
        error = ticket.wait_error()
        if error is not None and not isinstance(error, RetinueError):
            # A fault of ours on one window is that picture's failure, and not that of its neighbours in a batch.
            raise BackendFailed("a window could not be looked at") from error
        answer = ticket.wait()
        self.timings.add(ticket.timings)
        things = []
        if answer.found is not None:
            things += self._merger.add(place, answer.found.label_map, answer.found.sums)
            things += self._merger.advance(place.next_y)
        if answer.probabilities is None:
            return Done(self._stitcher.add(answer.codes), things)
        return Done(self._decided(self._stitcher.add(answer.probabilities)), things)

    def _decided(self, probabilities: NDArray[np.float32]) -> Codes:
        """Return the codes of blended rows, [height, width, classes]."""
        step = max(1, _BAND_PIXELS // probabilities.shape[1])
        bands = []
        for top in range(0, len(probabilities), step):
            layers = np.ascontiguousarray(probabilities[top : top + step].transpose(2, 0, 1))
            thresholds = self._options.thresholds
            bands.append(most_probable(layers) if self._options.is_exclusive else by_thresholds(layers, thresholds))
        return np.concatenate(bands) if bands else self._no_rows()

    def _no_rows(self) -> Codes:
        return np.empty((0, self._columns.size), np.uint8)


def _core(axis: Axis, index: int, reach_px: int) -> slice:
    """Return the part of a window, along one axis, in which things are looked for.

    Near an edge that is none of the picture's, the model sees too little to be relied on: as far as the window beside
    it sees more, and so that both still share a band of at least a pixel, by which things on both are known as one.
    """
    start = axis.start(index)
    begin, end = 0, axis.length(index)
    if index:
        begin = min(reach_px, max(0, axis.end(index - 1) - start - 1) // 2)
    if index + 1 < axis.count:
        end -= min(reach_px, max(0, axis.end(index) - axis.start(index + 1) - 1) // 2)
    return slice(begin, end)
