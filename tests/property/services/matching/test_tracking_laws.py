"""Laws of the tracker that hold whatever it is given."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.matching.tracker import TrackedFrame, Tracker
from services.matching.tracking_options import TrackingOptions

Frame = list[tuple[int, int, int, int, float, int]]
SCORES = st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.6, 0.65, 0.7, 0.9, 1.0])
SIDES = st.integers(0, 20)
DETECTIONS = st.tuples(st.integers(0, 40), st.integers(0, 40), SIDES, SIDES, SCORES, st.integers(0, 1))
FRAMES = st.lists(st.lists(DETECTIONS, max_size=8), max_size=8)
OPTIONS = st.builds(
    TrackingOptions,
    max_lost_frames=st.integers(0, 3),
    min_seen_frames=st.integers(1, 3),
    high_iou_threshold=st.sampled_from([0.0, 0.2, 0.5]),
    is_class_aware=st.booleans(),
)


def arrays(frame: Frame) -> tuple[Any, Any, Any]:
    table = np.array(frame, np.float64).reshape(-1, 6)
    corners = table[:, :4].copy()
    corners[:, 2:] += corners[:, :2]
    return corners, table[:, 4], table[:, 5].astype(np.int64)


def told(frame: TrackedFrame) -> list[Any]:
    boxes = frame.boxes_xyxy_px.tolist()
    columns = (frame.track_ids, frame.scores, frame.class_ids, frame.ages_frames)
    return [*zip(*(column.tolist() for column in columns), boxes, strict=True), frame.ended_track_ids.tolist()]


@given(FRAMES, OPTIONS)
def test_every_answer_is_sound(frames: list[Frame], options: TrackingOptions) -> None:
    tracker, ended, last_age = Tracker(options), set[int](), dict[int, int]()
    for index, frame in enumerate(frames):
        boxes, scores, class_ids = arrays(frame)
        answer = tracker.update(index, boxes, scores, class_ids)
        ids, chosen = answer.track_ids, answer.detection_indices
        assert (np.diff(ids) > 0).all(), "ascending, so none is shared"
        assert len(set(chosen.tolist())) == len(chosen), "nor a detection"
        np.testing.assert_array_equal(answer.scores, scores[chosen])
        np.testing.assert_array_equal(answer.class_ids, class_ids[chosen])
        assert (answer.scores >= options.low_score_threshold).all()
        assert not ended & set(ids.tolist()), "what ended does not come back"
        new = set(answer.ended_track_ids.tolist())
        assert new <= set(last_age), "only what was reported"
        assert not new & (ended | set(ids.tolist())), "once, and not where it is seen"
        ended |= new
        for track_id, age in zip(ids.tolist(), answer.ages_frames.tolist(), strict=True):
            assert age > last_age.get(track_id, options.min_seen_frames - 1)
            last_age[track_id] = age
        corners = answer.boxes_xyxy_px
        assert np.isfinite(corners).all()
        assert (corners[:, :2] <= corners[:, 2:]).all()


@given(FRAMES, OPTIONS, st.randoms(use_true_random=False))
def test_the_order_of_detections_changes_nothing_but_their_positions(
    frames: list[Frame], options: TrackingOptions, random: Any
) -> None:
    straight, mixed = Tracker(options), Tracker(options)
    for index, frame in enumerate(frames):
        order = list(range(len(frame)))
        random.shuffle(order)
        shuffled = [frame[position] for position in order]
        one, other = straight.update(index, *arrays(frame)), mixed.update(index, *arrays(shuffled))
        assert told(one) == told(other)
        chosen = [frame[position] for position in one.detection_indices]
        assert chosen == [shuffled[position] for position in other.detection_indices]


@given(FRAMES, OPTIONS, st.lists(st.integers(0, 4), min_size=8, max_size=8))
def test_frames_left_out_are_frames_without_detections(
    frames: list[Frame], options: TrackingOptions, gaps: list[int]
) -> None:
    patient, hasty = Tracker(options), Tracker(options)
    index = 0
    for frame, gap in zip(frames, gaps, strict=False):
        ended = []
        for _ in range(gap):
            ended += patient.update(index, [], []).ended_track_ids.tolist()
            index += 1
        one, other = patient.update(index, *arrays(frame)), hasty.update(index, *arrays(frame))
        np.testing.assert_array_equal(one.track_ids, other.track_ids)
        np.testing.assert_array_equal(one.detection_indices, other.detection_indices)
        np.testing.assert_array_equal(one.ages_frames, other.ages_frames)
        np.testing.assert_allclose(one.boxes_xyxy_px, other.boxes_xyxy_px, rtol=1e-9, atol=1e-9)
        assert sorted(ended + one.ended_track_ids.tolist()) == other.ended_track_ids.tolist()
        index += 1


@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.booleans())
def test_well_separated_things_keep_their_numbers(count: int, seed: int, is_class_aware: bool) -> None:  # noqa: FBT001
    """Each in a lane of its own, found in every frame, moving at most a fifth of its size per frame."""
    rng = np.random.default_rng(seed)
    tracker = Tracker(TrackingOptions(is_class_aware=is_class_aware))
    tops, lefts = 100.0 * np.arange(count), rng.uniform(0, 500, count)
    widths, heights = rng.uniform(20, 60, (2, count))
    speeds = rng.uniform(-0.2, 0.2, count) * widths
    known = dict[int, int]()
    for index in range(15):
        order = rng.permutation(count)
        left = lefts + speeds * index
        boxes = np.stack([left, tops, left + widths, tops + heights], axis=1)
        answer = tracker.update(index, boxes[order], rng.uniform(0.7, 1, count), order)
        assert len(answer.track_ids) == count
        for track_id, position in zip(answer.track_ids.tolist(), answer.detection_indices.tolist(), strict=True):
            assert known.setdefault(track_id, int(order[position])) == order[position]
        assert len(known) == count
