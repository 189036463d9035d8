"""SORT as its paper has it, to compare with: one threshold, one stage, area and aspect in an eight by eight way.

Bewley et al., ICIP 2016, arXiv:1602.00763: seven states (centre, area, aspect, and the velocities of the first three),
assignment of the greatest total IoU over all pairs, of which those below the gate are taken apart again.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from retinue.ops import pairwise_iou

Doubles = NDArray[np.float64]

_FORWARD = np.eye(7) + np.eye(7, k=4)
_OBSERVE = np.eye(4, 7)
_PROCESS_NOISE = np.diag([1.0, 1, 1, 1, 0.01, 0.01, 0.0001])
_MEASUREMENT_NOISE = np.diag([1.0, 1, 10, 10])


class _Track:
    def __init__(self, track_id: int, box: Doubles) -> None:
        self.id = track_id
        self.mean = np.concatenate([_measured(box), np.zeros(3)])
        self.covariance = np.diag([10.0] * 4 + [10000.0] * 3)
        self.unseen_count, self.row_count = 0, 1

    def predict(self) -> Doubles:
        if self.mean[2] + self.mean[6] <= 0:
            self.mean[6] = 0
        self.mean = _FORWARD @ self.mean
        self.covariance = _FORWARD @ self.covariance @ _FORWARD.T + _PROCESS_NOISE
        self.row_count = 0 if self.unseen_count else self.row_count
        self.unseen_count += 1
        return self.box

    def correct(self, box: Doubles) -> None:
        spread = _OBSERVE @ self.covariance @ _OBSERVE.T + _MEASUREMENT_NOISE
        gain = self.covariance @ _OBSERVE.T @ np.linalg.inv(spread)
        self.mean = self.mean + gain @ (_measured(box) - _OBSERVE @ self.mean)
        self.covariance = (np.eye(7) - gain @ _OBSERVE) @ self.covariance
        self.unseen_count, self.row_count = 0, self.row_count + 1

    @property
    def box(self) -> Doubles:
        width = np.sqrt(max(self.mean[2] * self.mean[3], 0))
        half = np.array([width, self.mean[2] / width if width else 0]) / 2
        return np.concatenate([self.mean[:2] - half, self.mean[:2] + half])


class PlainSort:
    """SORT.

    Args:
        score_threshold: detections below are passed over.
        max_age: frames that a track may go unseen.
        min_hits: frames in a row from which on it is reported; not asked for in the first frames.
        iou_threshold: of a pair.
    """

    def __init__(
        self, score_threshold: float = 0.5, max_age: int = 1, min_hits: int = 3, iou_threshold: float = 0.3
    ) -> None:
        self._options = score_threshold, max_age, min_hits, iou_threshold
        self._tracks: list[_Track] = []
        self._next_id, self._frame_count = 1, 0

    def update(self, boxes: Doubles, scores: Doubles) -> tuple[NDArray[np.int64], Doubles]:
        """Return the ids and boxes of the tracks in the next frame."""
        score_threshold, max_age, min_hits, iou_threshold = self._options
        self._frame_count += 1
        boxes = boxes[scores >= score_threshold]
        predicted = np.array([track.predict() for track in self._tracks]).reshape(-1, 4)
        iou = pairwise_iou(predicted, boxes)
        used = set()
        for row, column in zip(*linear_sum_assignment(-iou), strict=True):
            if iou[row, column] >= iou_threshold:
                self._tracks[row].correct(boxes[column])
                used.add(int(column))
        for left_over in set(range(len(boxes))) - used:
            self._tracks.append(_Track(self._next_id, boxes[left_over]))
            self._next_id += 1
        told = [
            track
            for track in self._tracks
            if not track.unseen_count and (track.row_count >= min_hits or self._frame_count <= min_hits)
        ]
        self._tracks = [track for track in self._tracks if track.unseen_count <= max_age]
        ids = np.array([track.id for track in told], np.int64)
        return ids, np.array([track.box for track in told]).reshape(-1, 4)


def _measured(box: Doubles) -> Doubles:
    width, height = box[2] - box[0], box[3] - box[1]
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, width * height, width / max(height, 1e-9)])
