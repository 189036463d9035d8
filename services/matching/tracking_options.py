"""How tracks are made: thresholds of scores and overlaps, and how long a track waits to be seen."""

from dataclasses import dataclass

from services.matching.invalid_field import InvalidField


@dataclass(frozen=True, slots=True)
class TrackingOptions:
    """The parameters of a `Tracker`; each threshold is inclusive.

    Args:
        high_score_threshold: detections from this score on are paired first, in [0, 1].
        low_score_threshold: detections from this score on are paired second and start no track, in
            [0, high_score_threshold]; those below are passed over.
        new_track_score_threshold: detections without partner start a track from this score on, in
            [high_score_threshold, 1].
        high_iou_threshold: least IoU of a track's predicted box with a detection of high score, in [0, 1].
        low_iou_threshold: the same for a detection of low score.
        max_lost_frames: a track that was not seen for more frames than this ends, at least 0.
        min_seen_frames: a track is reported from this many frames seen in a row on, at least 1.
        max_tracks: most tracks alive at once, at least 1.
        is_class_aware: whether a track keeps to detections of its first class.

    Raises:
        InvalidField: one is out of its range.

    Source:
        Zhang et al., ByteTrack, ECCV 2022, arXiv:2110.06864: both stages and the defaults of the scores and overlaps.

    >>> TrackingOptions(high_score_threshold=0.8)
    Traceback (most recent call last):
    ...
    services.matching.invalid_field.InvalidField: new_track_score_threshold: is 0.7; 0.8 to 1 are allowed
    """

    high_score_threshold: float = 0.6
    low_score_threshold: float = 0.1
    new_track_score_threshold: float = 0.7
    high_iou_threshold: float = 0.2
    low_iou_threshold: float = 0.5
    max_lost_frames: int = 30
    min_seen_frames: int = 1
    max_tracks: int = 1000
    is_class_aware: bool = False

    def __post_init__(self) -> None:
        self._check("high_score_threshold", 0, 1)
        self._check("low_score_threshold", 0, self.high_score_threshold)
        self._check("new_track_score_threshold", self.high_score_threshold, 1)
        self._check("high_iou_threshold", 0, 1)
        self._check("low_iou_threshold", 0, 1)
        for name, least in (("max_lost_frames", 0), ("min_seen_frames", 1), ("max_tracks", 1)):
            if not getattr(self, name) >= least:
                raise InvalidField(name, f"is {getattr(self, name)}; at least {least} is allowed")

    def _check(self, name: str, least: float, most: float) -> None:
        value = getattr(self, name)
        if not least <= value <= most:  # written so that NaN fails it
            raise InvalidField(name, f"is {value:g}; {least:g} to {most:g} are allowed")
