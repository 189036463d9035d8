"""What a tracker does with single frames; how well it does with many is in `test_tracking_quality`."""

from typing import Any

import numpy as np
import pytest

from services.matching.invalid_field import InvalidField
from services.matching.tracker import TooManyTracks, TrackedFrame, Tracker
from services.matching.tracking_options import TrackingOptions


def square(left: float, top: float = 0.0) -> list[float]:
    return [left, top, left + 20, top + 20]


def tracker(**options: Any) -> Tracker:
    return Tracker(TrackingOptions(**options))


def seen(frame: TrackedFrame) -> dict[int, int]:
    """Return detections by track."""
    return dict(zip(frame.track_ids.tolist(), frame.detection_indices.tolist(), strict=True))


def test_tracks_are_numbered_from_1_by_score() -> None:
    frame = tracker().update(5, [square(0), square(50), square(100)], [0.7, 0.9, 0.8], [4, 5, 6])
    assert seen(frame) == {1: 1, 2: 2, 3: 0}
    assert frame.class_ids.tolist() == [5, 6, 4]
    assert frame.scores.tolist() == [0.9, 0.8, 0.7]
    assert frame.ages_frames.tolist() == [1, 1, 1]
    assert frame.boxes_xyxy_px.tolist() == [square(50), square(100), square(0)]
    assert frame.ended_track_ids.size == 0


def test_a_thing_keeps_its_number_and_grows_older() -> None:
    tracks = tracker()
    for index in range(8):
        frame = tracks.update(index, [square(5.0 * index)], [0.9])
        assert seen(frame) == {1: 0}
        assert frame.ages_frames.tolist() == [index + 1]


def test_each_threshold_of_scores_is_inclusive() -> None:
    tracks = tracker()
    assert seen(tracks.update(0, [square(0)], [0.69])) == {}, "too little to begin"
    assert seen(tracks.update(1, [square(0)], [0.7])) == {1: 0}
    assert seen(tracks.update(2, [square(8)], [0.6])) == {1: 0}, "IoU 0.43: enough for a high score"
    assert seen(tracks.update(3, [square(24)], [0.59])) == {}, "and too little for a low one"
    tracks = tracker()
    tracks.update(0, [square(0)], [0.7])
    assert seen(tracks.update(1, [square(0)], [0.1])) == {1: 0}
    assert seen(tracks.update(2, [square(0)], [0.09])) == {}


def test_low_scores_get_only_tracks_that_high_ones_left() -> None:
    tracks = tracker()
    tracks.update(0, [square(0)], [0.9])
    frame = tracks.update(1, [square(0), square(6)], [0.5, 0.9])
    assert seen(frame) == {1: 1}, "the better fit has the lower score"


def test_low_scores_also_find_lost_tracks() -> None:
    tracks = tracker()
    tracks.update(0, [square(0)], [0.9])
    tracks.update(1, [], [])
    assert seen(tracks.update(2, [square(1)], [0.3])) == {1: 0}


def test_a_lost_track_is_found_where_it_was_going() -> None:
    tracks = tracker()
    for index in range(10):
        tracks.update(index, [square(10.0 * index)], [0.9])
    for index in range(10, 15):
        assert seen(tracks.update(index, [], [])) == {}
    frame = tracks.update(15, [square(150.0)], [0.9])
    assert seen(frame) == {1: 0}
    assert frame.ages_frames.tolist() == [16]


def test_a_track_ends_with_the_first_frame_too_many() -> None:
    tracks = tracker(max_lost_frames=2)
    tracks.update(0, [square(0)], [0.9])
    assert [tracks.update(index, [], []).ended_track_ids.tolist() for index in (1, 2, 3, 4)] == [[], [], [1], []]
    assert seen(tracks.update(5, [square(0)], [0.9])) == {2: 0}, "its number is never used again"


def test_without_patience_a_track_ends_at_once() -> None:
    tracks = tracker(max_lost_frames=0)
    tracks.update(0, [square(0)], [0.9])
    frame = tracks.update(1, [square(100)], [0.9])
    assert (seen(frame), frame.ended_track_ids.tolist()) == ({2: 0}, [1])


def test_frames_left_out_count_as_not_seen() -> None:
    for last, is_found in ((3, True), (4, False)):
        tracks = tracker(max_lost_frames=2)
        tracks.update(0, [square(0)], [0.9])
        frame = tracks.update(last, [square(0)], [0.9])
        assert seen(frame) == ({1: 0} if is_found else {2: 0})
        assert frame.ended_track_ids.tolist() == ([] if is_found else [1])


def test_a_track_is_reported_once_it_was_seen_often_enough_in_a_row() -> None:
    tracks = tracker(min_seen_frames=3)
    reported = [
        seen(tracks.update(index, [square(0)] * is_seen, [0.9] * is_seen))
        for index, is_seen in enumerate([1, 1, 0, 1, 1, 1, 0, 1])
    ]
    assert reported == [{}, {}, {}, {}, {}, {1: 0}, {}, {1: 0}], "and from then on whenever it is seen"


def test_frames_left_out_are_a_gap_in_the_row() -> None:
    tracks = tracker(min_seen_frames=2)
    assert [seen(tracks.update(index, [square(0)], [0.9])) for index in (0, 2, 3)] == [{}, {}, {1: 0}]


def test_only_reported_tracks_are_told_to_end() -> None:
    tracks = tracker(min_seen_frames=2, max_lost_frames=0)
    tracks.update(0, [square(0), square(100)], [0.9, 0.9])
    tracks.update(1, [square(0)], [0.9])
    assert tracks.update(2, [], []).ended_track_ids.tolist() == [1]


def test_a_track_keeps_to_its_first_class_where_that_is_wanted() -> None:
    for is_class_aware, expected in ((True, {2: 0}), (False, {1: 0})):
        tracks = tracker(is_class_aware=is_class_aware)
        tracks.update(0, [square(0)], [0.9], [3])
        frame = tracks.update(1, [square(0)], [0.9], [4])
        assert seen(frame) == expected
        assert frame.class_ids.tolist() == [4], "that of the detection"


def test_more_tracks_than_allowed_end_it() -> None:
    tracks = tracker(max_tracks=2)
    tracks.update(0, [square(0), square(50)], [0.9, 0.9])
    with pytest.raises(TooManyTracks) as raised:
        tracks.update(1, [square(100)], [0.9])
    assert (raised.value.count, raised.value.most) == (3, 2), "lost tracks are alive"


def test_ended_tracks_leave_their_room_in_the_same_frame() -> None:
    tracks = tracker(max_tracks=1, max_lost_frames=0)
    tracks.update(0, [square(0)], [0.9])
    assert seen(tracks.update(1, [square(100)], [0.9])) == {2: 0}


def test_a_frame_that_cannot_be_used_changes_nothing() -> None:
    tracks = tracker()
    tracks.update(0, [square(0)], [0.9])
    bad: list[tuple[Any, ...]] = [
        (0, [], []),
        (1, [square(0)], []),
        (1, [square(0)], [2.0]),
        (1, [[5, 5, 4, 5]], [0.9]),
    ]
    for frame in bad:
        with pytest.raises(InvalidField):
            tracks.update(*frame)
    assert seen(tracks.update(1, [square(0)], [0.9])) == {1: 0}


def test_extreme_frames_stay_finite() -> None:
    """The longest gap there can be, the largest pictures, and boxes without area."""
    tracks = tracker(max_lost_frames=2**31 - 1)
    far = 2.0**31
    boxes = [[-far, -far, far, far], [far, far, far, far], [0, 0, 0, far]]
    tracks.update(0, boxes, [1.0, 1.0, 1.0])
    tracks.update(1, [[box[0] / 2, *box[1:]] for box in boxes], [1.0, 1.0, 1.0])
    for index in (2**31, 2**62, 2**63 - 1):
        frame = tracks.update(index, boxes, [1.0, 1.0, 1.0])
        assert np.isfinite(frame.boxes_xyxy_px.astype(np.float32)).all()
        assert frame.ages_frames.min() >= 1
