import numpy as np

from services.matching.track import Tracks

BOXES = np.array([[0.0, 0.0, 10.0, 10.0], [50.0, 0.0, 60.0, 10.0]])


def begun() -> Tracks:
    return Tracks.begin(np.array([4, 7]), 3, BOXES, np.array([1, 2]), np.array([1, 0]))


def test_seeing_one_leaves_the_other_as_it_was() -> None:
    tracks = begun()
    tracks.see(np.array([1]), 4, BOXES[1:], np.array([9]))
    assert tracks.first_frames.tolist() == [3, 3]
    assert tracks.last_frames.tolist() == [3, 4]
    assert tracks.seen_counts.tolist() == [1, 2]
    assert tracks.detections.tolist() == [1, 9]


def test_a_gap_starts_the_count_anew() -> None:
    tracks = begun()
    tracks.see(np.array([0]), 5, BOXES[:1], np.array([0]))
    assert tracks.seen_counts.tolist() == [1, 1]


def test_parts_and_wholes_keep_all_columns() -> None:
    tracks = begun()
    first, second = tracks.only(np.array([True, False])), tracks.only(np.array([False, True]))
    again = first.with_more(second)
    assert (len(first), len(second), again.ids.tolist(), again.class_ids.tolist()) == (1, 1, [4, 7], [1, 2])
    np.testing.assert_array_equal(again.motion.boxes, BOXES)
