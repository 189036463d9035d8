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
from retinue.ops.tiles import Tile
from retinue.runtime.caller import Caller
from retinue.runtime.engine import Engine
from retinue.runtime.errors import Overloaded
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


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a picture is looked at.

    Args:
        tile_size_px: side of a window, at least 32.
        overlap_px: of neighbouring windows, in [0, tile_size_px / 2].
        blend: what a pixel is where windows overlap.
    """

    tile_size_px: int
    overlap_px: int
    blend: Blend


class Done(NamedTuple):
    """What is finished: rows of codes from the first that was not finished before, or things, or both."""

    rows: Codes
    things: list[MergedInstance]


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
        self._plan = plan_tiles(*size, tiling.tile_size_px, tiling.overlap_px)
        self._stitcher = RowStitcher(self._plan, blend=tiling.blend)
        # Where windows see the same, things share all of the band; where the edge hides something they share less.
        self._merger = SeamMerger(ios_threshold=0.5)
        self._width = size[1]
        self._pixels: NDArray[np.uint8] = np.empty((0, size[1], 3), np.uint8)
        self._top = 0  # the row of the picture that `_pixels` begins with
        self._next = 0  # the window that is cut next
        self._under_way: deque[SegmentationTicket] = deque()
        self._tiles: deque[Tile] = deque()
        self.timings = Timings()

    def add(self, rows: NDArray[np.uint8]) -> Iterator[Done]:
        """Take the next rows of the picture, uint8 [n, width, 3], and yield what is finished meanwhile."""
        self._pixels = rows if not len(self._pixels) else np.concatenate([self._pixels, rows])
        bottom = self._top + len(self._pixels)
        while self._next < len(self._plan):
            tile = self._plan[self._next]
            if tile.y + tile.height > bottom:
                break
            yield from self._begun(tile)
            self._next += 1
        kept = self._plan[self._next].y if self._next < len(self._plan) else bottom
        self._pixels = self._pixels[kept - self._top :].copy()  # a view would hold what is done with
        self._top = kept

    def finish(self) -> Iterator[Done]:
        """Yield the rest, when all rows have come."""
        while self._under_way:
            yield self._taken()
        yield Done(self._no_rows(), self._merger.finish())

    def close(self) -> None:
        """Let go of the windows that are under way."""
        for ticket in self._under_way:
            ticket.cancel()
        self._under_way.clear()

    def _begun(self, tile: Tile) -> Iterator[Done]:
        """Put a window on its way, and yield what has to be finished first for that."""
        top = tile.y - self._top
        cut = Cut(self._pixels[top : top + tile.height, tile.x : tile.x + tile.width].copy())
        item = SegmentationItem(cut, self._options, is_window=True, is_blended=self._is_blended)
        most = 2 * self._engine.size.workers * self._engine.size.max_batch_size
        while True:
            while len(self._under_way) >= most:
                yield self._taken()
            try:
                ticket = self._engine.submit(
                    item, self._caller, byte_count=cut.array.nbytes, is_patient=bool(self._under_way)
                )
            except Overloaded:
                if not self._under_way:
                    raise
                yield self._taken()
                continue
            self._under_way.append(ticket)
            self._tiles.append(tile)
            return

    def _taken(self) -> Done:
        """Wait for the oldest window and return what it finishes."""
        ticket, tile = self._under_way[0], self._tiles.popleft()
        answer = ticket.wait()
        self._under_way.popleft()
        self.timings.add(ticket.timings)
        things = [] if answer.found is None else self._merger.add(tile, answer.found.label_map, answer.found.sums)
        if answer.probabilities is None:
            return Done(self._stitcher.add(answer.codes), things)
        rows = self._stitcher.add(answer.probabilities)
        return Done(self._decided(rows) if len(rows) else self._no_rows(), things)

    def _decided(self, probabilities: NDArray[np.float32]) -> Codes:
        layers = np.ascontiguousarray(probabilities.transpose(2, 0, 1))
        return most_probable(layers) if self._options.is_exclusive else by_thresholds(layers, self._options.thresholds)

    def _no_rows(self) -> Codes:
        return np.empty((0, self._width), np.uint8)
