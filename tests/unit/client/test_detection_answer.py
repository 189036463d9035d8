import pickle
from dataclasses import replace

import numpy as np

from retinue.client.detection_answer import DetectionAnswer, read_detection_answer
from retinue.detection.v1 import detection_pb2 as pb
from tests.unit.client.scripted_detection import answer


def assert_dtypes(found: DetectionAnswer) -> None:
    assert [array.dtype.name for array in (found.boxes, found.scores, found.label_ids)] == [
        "float32",
        "float32",
        "int64",
    ]


def test_arrays_hold_the_same_row_by_row() -> None:
    found = read_detection_answer(answer())
    assert_dtypes(found)
    np.testing.assert_array_equal(found.boxes, [[1.5, 2.0, 20.25, 25.0], [10.0, 12.0, 40.0, 30.0]])
    np.testing.assert_array_equal(found.scores, [0.75, 0.5])
    np.testing.assert_array_equal(found.label_ids, [0, 1])


def test_arrays_of_nothing_keep_their_shapes() -> None:
    found = read_detection_answer(pb.DetectResponse())
    assert (found.boxes.shape, found.scores.shape, found.label_ids.shape) == ((0, 4), (0,), (0,))
    assert_dtypes(found)
    assert found.timings.total_s == 0


def test_arrays_follow_the_detections() -> None:
    found = read_detection_answer(answer())
    assert replace(found, detections=found.detections[1:]).label_ids.tolist() == [1]


def test_answers_can_be_compared_hashed_and_sent_between_processes() -> None:
    found = read_detection_answer(answer("x"))
    copy = pickle.loads(pickle.dumps(found))  # noqa: S301 - our own bytes
    assert found == read_detection_answer(answer("x")) == copy
    assert hash(found) == hash(copy)
    assert found != read_detection_answer(answer("x", found=()))
    np.testing.assert_array_equal(copy.boxes, found.boxes)
