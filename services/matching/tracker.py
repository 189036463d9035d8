"""Follows things through frames: boxes in, the numbers of their tracks out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.matching.association import associate
from services.matching.frame import Detections, checked_detections, checked_frame_index
from services.matching.track import Tracks
from services.matching.tracking_options import TrackingOptions

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]

_NOBODY = np.zeros(0, np.int64)


class TooManyTracks(Exception):
    """More tracks would be alive than are allowed.

    Args:
        count: how many there would be.
        most: how many are allowed.
    """

    def __init__(self, count: int, most: int) -> None:
        super().__init__(count, most)
        self.count = count
        self.most = most


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """The tracks that were seen in one frame and are reported, by ascending track id; k of them.

    Args:
        track_ids: int64 [k], from 1 on, never used again.
        detection_indices: int64 [k], positions of their detections in the frame.
        boxes_xyxy_px: float64 [k, 4], where the motion model sees them after this frame.
        class_ids: int64 [k], of their detections.
        scores: float64 [k], of their detections.
        ages_frames: int64 [k], frames since the track began, this one included.
        ended_track_ids: int64, ascending: tracks that were reported once and ended with this frame.
    """

    track_ids: Indices
    detection_indices: Indices
    boxes_xyxy_px: Doubles
    class_ids: Indices
    scores: Doubles
    ages_frames: Indices
    ended_track_ids: Indices


class Tracker:
    """The tracks of one stream of frames.

    Of each frame, detections of high score are paired with tracks first, those of low score with the tracks that are
    still alone; what is left of high score begins tracks. A track moves with constant velocity while it is not seen.

    Args:
        options: how tracks are made.

    Source:
        Bewley et al., SORT, ICIP 2016, arXiv:1602.00763; Zhang et al., ByteTrack, ECCV 2022, arXiv:2110.06864. Unlike
        there a track that is not reported yet waits as long as any other, the second stage is open to lost tracks too,
        and pairs are those of the greatest total IoU.

    >>> tracker = Tracker(TrackingOptions())
    >>> tracker.update(0, [[0, 0, 10, 10], [50, 0, 60, 10]], [0.8, 0.9]).track_ids.tolist()
    [1, 2]
    >>> frame = tracker.update(1, [[1, 0, 11, 10]], [0.3])
    >>> frame.track_ids.tolist(), frame.detection_indices.tolist()
    ([2], [0])
    """

    def __init__(self, options: TrackingOptions) -> None:
        self._options = options
        self._tracks = Tracks.begin(_NOBODY, 0, np.zeros((0, 4)), _NOBODY, _NOBODY)
        self._last_frame_index = -1
        self._next_id = 1

    def update(
        self, frame_index: int, boxes_xyxy_px: ArrayLike, scores: ArrayLike, class_ids: ArrayLike | None = None
    ) -> TrackedFrame:
        """Take in the next frame and return the tracks that are seen in it.

        Args:
            frame_index: number of the frame, at least 0 and greater than the last one's; in frames that are left out
                nothing was seen.
            boxes_xyxy_px: [n, 4] corners, ``x_min <= x_max``, ``y_min <= y_max``, none beyond 2**31.
            scores: [n] in [0, 1].
            class_ids: [n] integers; None: all are of class 0.

        Raises:
            InvalidField: an argument is not as said; the tracks are as before.
            TooManyTracks: more would be alive than the options allow; the tracks are as before the frame's births.

        Notes:
            The order of the detections means nothing: tracks that begin are numbered by descending score, then by
            ascending corners and class.
        """
        found = checked_detections(boxes_xyxy_px, scores, class_ids)
        frame_index = checked_frame_index(frame_index, self._last_frame_index)
        ended = self._end(frame_index - 1)
        if len(self._tracks):
            self._tracks.motion.predict(frame_index - self._last_frame_index)
        self._last_frame_index = frame_index
        is_free = self._pair(frame_index, found)
        ended = np.union1d(ended, self._end(frame_index))
        self._begin(
            frame_index, found, np.flatnonzero(is_free & (found.scores >= self._options.new_track_score_threshold))
        )
        self._tracks.are_reported |= self._tracks.seen_counts >= self._options.min_seen_frames
        return self._seen(frame_index, found, ended)

    def _end(self, frame_index: int) -> Indices:
        """Drop the tracks that are lost for too long in this frame, and return those of them that were reported."""
        tracks = self._tracks
        is_over = frame_index - tracks.last_frames > self._options.max_lost_frames
        if is_over.any():
            self._tracks = tracks.only(~is_over)
        return tracks.ids[is_over & tracks.are_reported]

    def _pair(self, frame_index: int, found: Detections) -> NDArray[np.bool_]:
        """Give detections to tracks, and return which are left, [n]."""
        options, tracks = self._options, self._tracks
        is_high = found.scores >= options.high_score_threshold
        is_low = (found.scores >= options.low_score_threshold) & ~is_high
        predicted = tracks.motion.boxes
        partners = np.full(len(tracks), -1, np.int64)
        for is_wanted, least_iou in ((is_high, options.high_iou_threshold), (is_low, options.low_iou_threshold)):
            alone, wanted = np.flatnonzero(partners < 0), np.flatnonzero(is_wanted)
            rows, columns = associate(
                predicted[alone],
                found.boxes[wanted],
                least_iou,
                predicted_class_ids=tracks.class_ids[alone] if options.is_class_aware else None,
                class_ids=found.class_ids[wanted],
            )
            partners[alone[rows]] = wanted[columns]
        rows = np.flatnonzero(partners >= 0)
        tracks.see(rows, frame_index, found.boxes[partners[rows]], partners[rows])
        is_free = np.ones(len(found.scores), np.bool_)
        is_free[partners[rows]] = False
        return is_free

    def _begin(self, frame_index: int, found: Detections, rows: Indices) -> None:
        """Begin tracks with these detections.

        Raises:
            TooManyTracks: there are too many.
        """
        if not rows.size:
            return
        count = len(self._tracks) + len(rows)
        if count > self._options.max_tracks:
            raise TooManyTracks(count, self._options.max_tracks)
        ids = np.arange(self._next_id, self._next_id + len(rows))
        self._next_id += len(rows)
        begun = Tracks.begin(ids, frame_index, found.boxes[rows], found.class_ids[rows], rows)
        self._tracks = self._tracks.with_more(begun)

    def _seen(self, frame_index: int, found: Detections, ended: Indices) -> TrackedFrame:
        tracks = self._tracks
        rows = np.flatnonzero((tracks.last_frames == frame_index) & tracks.are_reported)
        chosen = tracks.detections[rows]
        return TrackedFrame(
            track_ids=tracks.ids[rows],
            detection_indices=found.positions[chosen],
            boxes_xyxy_px=tracks.motion.boxes[rows],
            class_ids=found.class_ids[chosen],
            scores=found.scores[chosen],
            ages_frames=frame_index - tracks.first_frames[rows] + 1,
            ended_track_ids=ended,
        )
