"""Detections of frames on their way to be tracked, and how that is to be done."""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from retinue.client.keywords import PlainCallKeywords, check_known, checked_count, checked_share
from retinue.client.number_lists import integers_of, numbers_of, rows_of
from retinue.matching.v1 import matching_pb2 as pb


@dataclass(frozen=True, slots=True, eq=False)
class TrackFrame:
    """The detections of one frame, n of them.

    Args:
        frame_index: at least 0 and greater than the previous one's; frames left out count as not seen.
        boxes: [n, 4] corners ``x_min, y_min, x_max, y_max``, pixels; may be empty.
        scores: [n] in [0, 1].
        class_ids: [n] integers. None: all are of class 0.
    """

    frame_index: int
    boxes: ArrayLike
    scores: ArrayLike
    class_ids: ArrayLike | None = None

    def message(self) -> pb.TrackRequest:
        """Return the message of it.

        Raises:
            ValueError: a part of it cannot be sent; the message names it.
        """
        if not 0 <= self.frame_index < 2**63:
            raise ValueError(f"frame_index is {self.frame_index}, must be at least 0")
        return pb.TrackRequest(
            frame=pb.TrackFrame(
                frame_index=self.frame_index,
                boxes_xyxy_px=rows_of(self.boxes, "boxes", 4),
                scores=numbers_of(self.scores, "scores"),
                class_ids=integers_of(self.class_ids, "class_ids"),
            )
        )


class TrackKeywords(PlainCallKeywords, total=False):
    """The keyword arguments of `track`; all may be left out or None."""

    high_score_threshold: float | None
    """Detections from this score on are paired first, in [0, 1]; by default 0.6."""
    low_score_threshold: float | None
    """Detections from this score on are paired second and start no track, up to the threshold above; by default 0.1."""
    new_track_score_threshold: float | None
    """Detections without partner start a track from this score on, from the first threshold up; by default 0.7."""
    high_iou_threshold: float | None
    """Least IoU of a track's predicted box with a detection of high score, in [0, 1]; by default 0.2."""
    low_iou_threshold: float | None
    """The same for a detection of low score; by default 0.5."""
    max_lost_frames: int | None
    """A track not seen for more frames than this ends, at least 0; by default 30."""
    min_seen_frames: int | None
    """A track is reported from this many frames seen in a row on, at least 1; by default 1."""
    max_tracks: int | None
    """Most tracks alive at once, at least 1; by default the service's limit."""
    class_aware: bool | None
    """Whether a track keeps to detections of its first class; by default not."""


def track_options(keywords: TrackKeywords) -> pb.TrackRequest:
    """Return the first message of a stream.

    Raises:
        TypeError: there is a keyword that is not one of `TrackKeywords`.
        ValueError: one is out of range; the message names it.
    """
    check_known(keywords, TrackKeywords)
    max_lost_frames = keywords.get("max_lost_frames")
    if max_lost_frames is not None and not 0 <= max_lost_frames < 2**31:
        raise ValueError(f"max_lost_frames is {max_lost_frames}, must be at least 0")
    return pb.TrackRequest(
        options=pb.TrackOptions(
            high_score_threshold=checked_share("high_score_threshold", keywords.get("high_score_threshold")),
            low_score_threshold=checked_share("low_score_threshold", keywords.get("low_score_threshold")),
            new_track_score_threshold=checked_share(
                "new_track_score_threshold", keywords.get("new_track_score_threshold")
            ),
            high_iou_threshold=checked_share("high_iou_threshold", keywords.get("high_iou_threshold")),
            low_iou_threshold=checked_share("low_iou_threshold", keywords.get("low_iou_threshold")),
            max_lost_frames=max_lost_frames,
            min_seen_frames=checked_count("min_seen_frames", keywords.get("min_seen_frames")),
            max_tracks=checked_count("max_tracks", keywords.get("max_tracks")),
            is_class_aware=bool(keywords.get("class_aware")),
        )
    )
