"""The tracks that are alive: one row each, by ascending id."""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from services.matching.kalman import BoxMotion

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Tracks:
    """The state of n tracks.

    Args:
        ids: int64 [n], ascending.
        class_ids: int64 [n], of the detection that each began with.
        first_frames: int64 [n], where each began.
        last_frames: int64 [n], where each was seen last.
        detections: int64 [n], which detection of that frame it was.
        seen_counts: int64 [n], frames seen in a row up to that one.
        are_reported: bool [n], whether each was seen often enough in a row once.
        motion: where they are and how they move.
    """

    ids: Indices
    class_ids: Indices
    first_frames: Indices
    last_frames: Indices
    detections: Indices
    seen_counts: Indices
    are_reported: NDArray[np.bool_]
    motion: BoxMotion

    @classmethod
    def begin(cls, ids: Indices, frame_index: int, boxes: Doubles, class_ids: Indices, detections: Indices) -> Self:
        """Return tracks that are seen for the first time.

        >>> len(Tracks.begin(np.array([1]), 7, np.array([[0.0, 0.0, 4.0, 4.0]]), np.array([0]), np.array([0])))
        1
        """
        frames = np.full(len(ids), frame_index, np.int64)
        return cls(
            ids,
            class_ids,
            frames,
            frames.copy(),
            detections,
            np.ones(len(ids), np.int64),
            np.zeros(len(ids), np.bool_),
            BoxMotion.begin(boxes),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def see(self, rows: Indices, frame_index: int, boxes: Doubles, detections: Indices) -> None:
        """Take in where some tracks were seen; the others are lost.

        Args:
            rows: [k] which tracks, none twice.
            frame_index: where.
            boxes: [k, 4] corners.
            detections: [k] which detections of the frame these are.
        """
        is_in_a_row = self.last_frames[rows] == frame_index - 1
        self.seen_counts[rows] = np.where(is_in_a_row, self.seen_counts[rows], 0) + 1
        self.last_frames[rows] = frame_index
        self.detections[rows] = detections
        self.motion.correct(rows, boxes)
        self.motion.keep_sizes(self.last_frames != frame_index)

    def only(self, is_kept: NDArray[np.bool_]) -> Self:
        """Return these tracks alone, [n]."""
        columns: dict[str, Any] = {name: getattr(self, name)[is_kept] for name in _COLUMNS}
        return type(self)(**columns, motion=self.motion.only(is_kept))

    def with_more(self, others: Self) -> Self:
        """Return these tracks and others after them."""
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(others, name)]) for name in _COLUMNS
        }
        return type(self)(**columns, motion=self.motion.with_more(others.motion))


_COLUMNS = tuple(field.name for field in fields(Tracks) if field.name != "motion")
