"""The tracks of frames, as values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinue.client.number_lists import indices
from retinue.matching.v1 import matching_pb2 as pb


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """The tracks that were seen in one frame, by ascending id; k of them.

    Args:
        frame_index: number of the frame.
        track_ids: int64 [k], from 1 on, never used again within the stream.
        boxes: float32 [k, 4] corners, pixels, as the motion model sees them after this frame; they may reach beyond the
            picture.
        scores: float64 [k], of their detections.
        class_ids: int64 [k], of their detections.
        detection_indices: int64 [k], positions of their detections in the frame.
        ages_frames: int64 [k], frames since each began, this one included.
        ended_track_ids: int64, ascending; tracks that ended with this frame.
    """

    frame_index: int
    track_ids: NDArray[np.int64]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float64]
    class_ids: NDArray[np.int64]
    detection_indices: NDArray[np.int64]
    ages_frames: NDArray[np.int64]
    ended_track_ids: NDArray[np.int64]


def read_tracked_frame(response: pb.TrackResponse) -> TrackedFrame:
    """Return the value that a message holds."""
    tracks = response.tracks
    corners = [(one.box.x_min, one.box.y_min, one.box.x_max, one.box.y_max) for one in tracks]
    return TrackedFrame(
        frame_index=response.frame_index,
        track_ids=np.array([one.track_id for one in tracks], np.int64),
        boxes=np.array(corners, np.float32).reshape(-1, 4),
        scores=np.array([one.score for one in tracks], np.float64),
        class_ids=np.array([one.class_id for one in tracks], np.int64),
        detection_indices=np.array([one.detection_index for one in tracks], np.int64),
        ages_frames=np.array([one.age_frames for one in tracks], np.int64),
        ended_track_ids=indices(response.ended_track_ids),
    )
