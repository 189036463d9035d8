"""The messages of one `Track` stream, in and out; the tracker behind them knows no wire."""

import numpy as np

from retinue.common.v1 import geometry_pb2
from retinue.matching.v1 import matching_pb2 as pb
from retinue.runtime.errors import InvalidInput, LimitExceeded
from services.matching.invalid_field import InvalidField
from services.matching.tracker import TooManyTracks, TrackedFrame, Tracker
from services.matching.tracking_options import TrackingOptions

_DEFAULT = TrackingOptions()


class TrackStream:
    """Answers the messages of one stream, one after the other; its tracks die with it.

    Args:
        max_tracks: most tracks alive at once, and the default of the callers' own bound.
        max_boxes: most boxes of one frame.
    """

    def __init__(self, *, max_tracks: int, max_boxes: int) -> None:
        self._max_tracks = max_tracks
        self._max_boxes = max_boxes
        self._tracker: Tracker | None = None

    def answer(self, request: pb.TrackRequest) -> pb.TrackResponse | None:
        """Return the answer to a frame; None to options, which have none.

        Raises:
            InvalidInput: the message, an option or the frame cannot be used; the stream is over.
            LimitExceeded: more tracks would be alive than are allowed.
        """
        kind = request.WhichOneof("message")
        if kind is None:
            raise InvalidInput("message", "is neither options nor a frame")
        if kind == "options":
            if self._tracker is not None:
                raise InvalidInput("options", "can only be the first message of the stream")
            self._tracker = Tracker(tracking_options_of(request.options, self._max_tracks))
            return None
        if self._tracker is None:
            self._tracker = Tracker(tracking_options_of(pb.TrackOptions(), self._max_tracks))
        return track_response_of(request.frame.frame_index, self._tracked(self._tracker, request.frame))

    def _tracked(self, tracker: Tracker, frame: pb.TrackFrame) -> TrackedFrame:
        count, left_over = divmod(len(frame.boxes_xyxy_px), 4)
        if left_over:
            raise InvalidInput(
                "frame.boxes_xyxy_px", f"has {len(frame.boxes_xyxy_px)} numbers; four for each box are required"
            )
        if count > self._max_boxes:
            raise InvalidInput(
                "frame.boxes_xyxy_px",
                f"has {count} boxes; at most {self._max_boxes} are allowed",
                limit=str(self._max_boxes),
            )
        try:
            return tracker.update(
                frame.frame_index,
                np.array(frame.boxes_xyxy_px, np.float64).reshape(count, 4),
                np.array(frame.scores, np.float64),
                np.array(frame.class_ids, np.int64) if frame.class_ids else None,
            )
        except InvalidField as error:
            raise InvalidInput(f"frame.{error.field}", error.problem) from error
        except TooManyTracks as error:
            raise LimitExceeded(
                f"frame {frame.frame_index} would make {error.count} tracks; at most {error.most} may be alive at once",
                field="options.max_tracks",
                limit=str(error.most),
            ) from error


def tracking_options_of(options: pb.TrackOptions, max_tracks: int) -> TrackingOptions:
    """Return a caller's options.

    A threshold that is left out moves with its neighbour where it would stand on the wrong side: detections below
    ``high_score_threshold`` start no track anyway, and none from there on are paired second.

    Args:
        options: as sent.
        max_tracks: the service's limit.

    Raises:
        InvalidInput: one is out of range; the message names it and says what is allowed.

    >>> tracking_options_of(pb.TrackOptions(high_score_threshold=0.75), 100).new_track_score_threshold
    0.75
    """
    given = {field.name: value for field, value in options.ListFields()}
    high = given.get("high_score_threshold", _DEFAULT.high_score_threshold)
    defaults = {
        "low_score_threshold": min(_DEFAULT.low_score_threshold, high),
        "new_track_score_threshold": max(_DEFAULT.new_track_score_threshold, high),
        "max_tracks": max_tracks,
    }
    if given.get("max_tracks", 0) > max_tracks:
        raise InvalidInput(
            "options.max_tracks", f"is {options.max_tracks}; 1 to {max_tracks} are allowed", limit=str(max_tracks)
        )
    try:
        return TrackingOptions(**(defaults | given))
    except InvalidField as error:
        raise InvalidInput(f"options.{error.field}", error.problem) from error


def track_response_of(frame_index: int, frame: TrackedFrame) -> pb.TrackResponse:
    """Return the message of one frame's tracks."""
    columns = zip(
        frame.track_ids.tolist(),
        frame.detection_indices.tolist(),
        frame.boxes_xyxy_px.tolist(),
        frame.class_ids.tolist(),
        frame.scores.tolist(),
        frame.ages_frames.tolist(),
        strict=True,
    )
    return pb.TrackResponse(
        frame_index=frame_index,
        tracks=[
            pb.TrackedBox(
                track_id=track_id,
                detection_index=index,
                box=geometry_pb2.BoundingBox(x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max),
                class_id=class_id,
                score=score,
                age_frames=age,
            )
            for track_id, index, (x_min, y_min, x_max, y_max), class_id, score, age in columns
        ],
        ended_track_ids=frame.ended_track_ids.tolist(),
    )
