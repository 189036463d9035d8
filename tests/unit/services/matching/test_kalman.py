"""The filter of four times two states is the textbook's of eight."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.matching.kalman import BoxMotion

BOX = np.array([[10.0, 20.0, 50.0, 100.0]])


class Textbook:
    """The same filter for one box by its 8 x 8 matrices."""

    def __init__(self, box: NDArray[np.float64]) -> None:
        self.mean = np.concatenate([self.measured(box), np.zeros(4)])
        width, height = self.mean[2:4]
        stds = np.array([width, height] * 2)
        self.covariance = np.diag(np.concatenate([stds / 10, stds / 16]) ** 2)

    def predict(self) -> None:
        forward = np.eye(8) + np.eye(8, k=4)
        stds = np.maximum(self.mean[[2, 3, 2, 3]], 1)
        noise = np.diag(np.concatenate([stds / 20, stds / 160]) ** 2)
        self.mean = forward @ self.mean
        self.covariance = forward @ self.covariance @ forward.T + noise

    def correct(self, box: NDArray[np.float64]) -> None:
        observe = np.eye(4, 8)
        noise = np.diag((np.maximum(self.mean[[2, 3, 2, 3]], 1) / 20) ** 2)
        spread = observe @ self.covariance @ observe.T + noise
        gain = self.covariance @ observe.T @ np.linalg.inv(spread)
        self.mean += gain @ (self.measured(box) - observe @ self.mean)
        self.covariance = (np.eye(8) - gain @ observe) @ self.covariance

    @staticmethod
    def measured(box: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])


def test_it_is_the_textbooks_filter_step_by_step() -> None:
    rng = np.random.default_rng(1)
    motion, textbook = BoxMotion.begin(BOX), Textbook(BOX[0])
    for step in range(20):
        seen = BOX + 3.0 * step + rng.normal(0, 2, (1, 4))
        motion.predict()
        textbook.predict()
        motion.correct(np.array([0]), seen)
        textbook.correct(seen[0])
        np.testing.assert_allclose(motion.values[0], textbook.mean[:4], rtol=1e-10)
        np.testing.assert_allclose(motion.velocities[0], textbook.mean[4:], rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(motion.value_variances[0], textbook.covariance.diagonal()[:4], rtol=1e-9)
        np.testing.assert_allclose(motion.covariances[0], textbook.covariance.diagonal(4), rtol=1e-9)
        np.testing.assert_allclose(motion.velocity_variances[0], textbook.covariance.diagonal()[4:], rtol=1e-9)


@pytest.mark.parametrize("frame_count", [2, 3, 30])
def test_several_frames_at_once_are_as_many_single_ones(frame_count: int) -> None:
    def moved() -> BoxMotion:
        motion = BoxMotion.begin(BOX)
        for step in range(1, 4):
            motion.predict()
            motion.correct(np.array([0]), BOX + np.array([[5.0 * step, 0, 9.0 * step, 2]]))
        return motion

    at_once, one_by_one = moved(), moved()
    at_once.predict(frame_count)
    for _ in range(frame_count):
        one_by_one.predict()
        one_by_one.keep_sizes(np.array([True]))
    at_once.keep_sizes(np.array([True]))
    for name in ("values", "velocities", "value_variances", "covariances", "velocity_variances"):
        np.testing.assert_allclose(getattr(at_once, name), getattr(one_by_one, name), rtol=1e-12, err_msg=name)


def test_boxes_begin_where_they_were_seen() -> None:
    np.testing.assert_array_equal(BoxMotion.begin(BOX).boxes, BOX)


def test_a_box_without_area_is_followed_without_a_division_by_zero() -> None:
    point = np.array([[5.0, 5.0, 5.0, 5.0]])
    motion = BoxMotion.begin(point)
    motion.predict()
    motion.correct(np.array([0]), point + 1)
    assert np.isfinite(motion.boxes).all()
    assert (motion.boxes[0] > 5).all()


def test_a_shrinking_box_never_turns_inside_out() -> None:
    motion = BoxMotion.begin(BOX)
    for side in (60.0, 30.0, 5.0):
        motion.predict()
        motion.correct(np.array([0]), np.array([[10.0, 20.0, 10 + side / 2, 20 + side]]))
    for _ in range(10):
        motion.predict()
        boxes = motion.boxes[0]
        assert boxes[0] <= boxes[2]
        assert boxes[1] <= boxes[3]


def test_only_what_was_seen_is_corrected() -> None:
    motion = BoxMotion.begin(np.concatenate([BOX, BOX + 200]))
    motion.predict()
    before = motion.boxes.copy()
    motion.correct(np.array([1]), BOX + 210)
    np.testing.assert_array_equal(motion.boxes[0], before[0])
    assert (motion.boxes[1] > before[1]).all()
    np.testing.assert_array_equal(motion.velocities[0], 0)
