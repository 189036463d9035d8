"""Large pictures through overlapping tiles: a few at a time, their boxes put together at the end."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from retinue.ops import merge_boxes, plan_tiles
from retinue.ops.tiles import TilePlan
from retinue.runtime.caller import Caller
from retinue.runtime.engine import Engine
from retinue.runtime.errors import BackendFailed, Overloaded, RetinueError
from retinue.runtime.picture import Picture
from retinue.runtime.slots import Slots
from retinue.runtime.ticket import Ticket
from retinue.runtime.timings import Timings
from retinue.runtime.view import View
from services.detection.detections import DetectionItem, DetectionOptions, Detections, Floats
from services.detection.views import SharedPicture, TileView

DetectionEngine = Engine[DetectionItem, Detections]
DetectionTicket = Ticket[DetectionItem, Detections]


@dataclass(frozen=True, slots=True)
class Tiling:
    """How one caller wants a picture to be cut, and what is found on the tiles to be put together.

    Args:
        tile_size_px: side of a tile, at least 32.
        overlap_px: of neighbouring tiles, in [0, tile_size_px / 2].
        merge_metric: which overlap tells that boxes are one thing.
        merge_threshold: from which overlap on, in [0, 1].
        is_whole_picture_added: whether the picture is looked at as a whole too.
    """

    tile_size_px: int
    overlap_px: int
    merge_metric: Literal["ios", "iou"]
    merge_threshold: float
    is_whole_picture_added: bool

    def plan(self, height: int, width: int) -> TilePlan:
        """Return the tiles of a picture."""
        return plan_tiles(height, width, self.tile_size_px, self.overlap_px)


class TiledPicture:
    """One picture looked at tile by tile.

    Tiles wait in the engine's queue beside the items of other callers, no more at once than keep its workers busy, and
    the picture is decoded once. A full queue is waited for as long as one of the tiles is under way.

    Args:
        engine: what looks at the tiles.
        picture: the whole.
        options: for each tile, and for what is left after merging.
        tiling: how to cut and to merge.
        caller: who waits.
        slots: leave to hold the picture decoded.
    """

    def __init__(
        self,
        engine: DetectionEngine,
        picture: Picture,
        options: DetectionOptions,
        tiling: Tiling,
        caller: Caller,
        slots: Slots,
    ) -> None:
        self._engine = engine
        self._picture = picture
        self._options = options
        self._tiling = tiling
        self._caller = caller
        self._slots = slots

    def __call__(self, timings: Timings) -> Detections:
        """Look at all tiles and return what is found, adding up the time of their stages.

        Raises:
            RetinueError: a tile failed, the deadline passed, or the caller went away.
        """
        with self._slots.held(self._caller):
            return self._merged(list(self._parts(timings)))

    def _parts(self, timings: Timings) -> Iterator["_Part"]:
        """Yield what is found on each tile, in their order."""
        shared = SharedPicture(self._picture)
        plan = self._tiling.plan(*shared.size)
        views: Iterator[View] = (TileView(shared, tile) for tile in plan)
        if self._tiling.is_whole_picture_added and len(plan) > 1:
            views = _chained(shared, views)
        most = 2 * self._engine.size.workers * self._engine.size.max_batch_size
        under_way: deque[DetectionTicket] = deque()
        try:
            for view in views:
                while len(under_way) >= most:
                    yield _part(under_way.popleft(), timings)
                while (ticket := self._submitted(view, is_patient=bool(under_way))) is None:
                    yield _part(under_way.popleft(), timings)
                under_way.append(ticket)
            while under_way:
                yield _part(under_way.popleft(), timings)
        finally:
            for ticket in under_way:  # nobody waits for the rest of a picture that failed
                ticket.cancel()

    def _submitted(self, view: View, *, is_patient: bool) -> DetectionTicket | None:
        """Return the ticket of a view; None where the queue is full and that can be waited for."""
        try:
            # The bytes of the picture are counted once, however many tiles it has.
            return self._engine.submit(
                DetectionItem(view, self._options),
                self._caller,
                byte_count=0 if is_patient else self._picture.byte_count,
                is_patient=is_patient,
            )
        except Overloaded:
            if is_patient:
                return None
            raise

    def _merged(self, parts: list["_Part"]) -> Detections:
        """Return the boxes of all tiles, those on one thing as one."""
        label_ids = np.concatenate([part.found.label_ids for part in parts])
        scores = np.concatenate([part.found.scores for part in parts])
        merged = merge_boxes(
            np.concatenate([part.boxes for part in parts]),
            scores,
            labels=None if self._options.is_class_agnostic else label_ids,
            threshold=self._tiling.merge_threshold,
            metric=self._tiling.merge_metric,
        )
        best_first = np.argsort(-scores, kind="stable")
        keepers = best_first[merged.keepers[best_first] == best_first]  # a group has the label of its best box
        most = self._options.max_detections
        manifest = parts[0].found.manifest
        return Detections(manifest, merged.boxes[:most], label_ids[keepers[:most]], merged.scores[:most])


class _Part(NamedTuple):
    """What was found on a tile, and where that is on the picture."""

    found: Detections
    boxes: Floats


def _part(ticket: DetectionTicket, timings: Timings) -> _Part:
    error = ticket.wait_error()
    if error is not None and not isinstance(error, RetinueError):
        # A fault of ours on one tile is that picture's failure, and not that of its neighbours in a batch.
        raise BackendFailed("a tile could not be looked at") from error
    found, view = ticket.wait(), ticket.item.view
    timings.add(ticket.timings)
    corner = (view.tile.x, view.tile.y) if isinstance(view, TileView) else (0, 0)
    return _Part(found, found.boxes + np.array([*corner, *corner], np.float32))


def _chained(first: View, rest: Iterator[View]) -> Iterator[View]:
    yield first
    yield from rest
