"""A constant-velocity Kalman filter of many boxes at once.

The state of a box is its centre, width and height, and how each changes per frame. Nothing in the model couples one of
the four with another, so that the filter of eight states is four of two: each has a value, a velocity, and the
covariance of these, which is three numbers. No matrix is inverted.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

# In shares of the box's size.
_POSITION_STD = 1 / 20
_VELOCITY_STD = 1 / 160
_FIRST_POSITION_STD = 2 * _POSITION_STD
_FIRST_VELOCITY_STD = 10 * _VELOCITY_STD
_LEAST_SCALE_PX = 1.0  # a box without area is not known better than to a twentieth of a pixel


@dataclass(slots=True, eq=False)
class BoxMotion:
    """Where n boxes are thought to be and how they move: rows of centre x, centre y, width, height, float64 [n, 4].

    Args:
        values: the four, pixels; sizes are never negative.
        velocities: their change, pixels per frame.
        value_variances: pixels squared.
        covariances: of value and velocity, pixels squared per frame.
        velocity_variances: pixels squared per frame squared.

    Source:
        Bewley et al., SORT, ICIP 2016, arXiv:1602.00763, for boxes of constant velocity; Aharon et al., BoT-SORT,
        arXiv:2206.14651, for width and height in place of area and aspect, which a box without height has not, and for
        sizes that stay while a track is lost; Wojke et al., DeepSORT, ICIP 2017, arXiv:1703.07402, for the noise in
        shares of the size. The bound below on these sizes is ours, and so is the closed form of several frames.
    """

    values: Doubles
    velocities: Doubles
    value_variances: Doubles
    covariances: Doubles
    velocity_variances: Doubles

    @classmethod
    def begin(cls, boxes: Doubles) -> Self:
        """Return the motion of boxes that were seen once, [n, 4] corners: where they are, standing still.

        >>> BoxMotion.begin(np.array([[2.0, 0.0, 4.0, 8.0]])).values.tolist()
        [[3.0, 4.0, 2.0, 8.0]]
        """
        values = _values_of(boxes)
        scale = _scale(values)
        return cls(
            values=values,
            velocities=np.zeros_like(values),
            value_variances=(_FIRST_POSITION_STD * scale) ** 2,
            covariances=np.zeros_like(values),
            velocity_variances=(_FIRST_VELOCITY_STD * scale) ** 2,
        )

    @property
    def boxes(self) -> Doubles:
        """The boxes by their corners ``x1, y1, x2, y2``, [n, 4], pixels."""
        half = self.values[:, 2:] / 2
        centres = self.values[:, :2]
        return np.concatenate([centres - half, centres + half], axis=1)

    def predict(self, frame_count: int = 1) -> None:
        """Go on by this many frames, at least 1, in which nothing is seen."""
        if frame_count > 1:
            self.predict()
            self.keep_sizes(np.ones(len(self.values), np.bool_))
            frame_count -= 1
        # The sum of the noise that each frame adds and the later ones carry on; of one frame, the textbook's.
        frames = float(frame_count)
        squares = frames * (frames - 1) * (2 * frames - 1) / 6
        scale = _scale(self.values)
        value_noise, velocity_noise = (_POSITION_STD * scale) ** 2, (_VELOCITY_STD * scale) ** 2
        self.values = self.values + frames * self.velocities
        np.maximum(self.values[:, 2:], 0, out=self.values[:, 2:])
        self.value_variances = (
            self.value_variances
            + frames * (2 * self.covariances + frames * self.velocity_variances + value_noise)
            + squares * velocity_noise
        )
        self.covariances = (
            self.covariances + frames * self.velocity_variances + frames * (frames - 1) / 2 * velocity_noise
        )
        self.velocity_variances = self.velocity_variances + frames * velocity_noise

    def correct(self, rows: NDArray[np.intp], boxes: Doubles) -> None:
        """Take in what was seen of some of the boxes.

        Args:
            rows: [k] which ones, none twice.
            boxes: [k, 4] corners.
        """
        seen = _values_of(boxes)
        values, variances, covariances = self.values[rows], self.value_variances[rows], self.covariances[rows]
        spread = variances + (_POSITION_STD * _scale(values)) ** 2
        value_gain, velocity_gain = variances / spread, covariances / spread
        surprise = seen - values
        self.values[rows] = values + value_gain * surprise
        self.velocities[rows] += velocity_gain * surprise
        self.value_variances[rows] = variances * (1 - value_gain)
        self.velocity_variances[rows] -= velocity_gain * covariances
        self.covariances[rows] = covariances * (1 - value_gain)

    def keep_sizes(self, is_lost: NDArray[np.bool_]) -> None:
        """Let the sizes of these, [n], stay as they are until they are seen again."""
        self.velocities[is_lost, 2:] = 0

    def only(self, is_kept: NDArray[np.bool_]) -> Self:
        """Return the motion of these alone, [n]."""
        return type(self)(*(part[is_kept] for part in self._parts()))

    def with_more(self, others: Self) -> Self:
        """Return these and others after them."""
        return type(self)(*(np.concatenate(both) for both in zip(self._parts(), others._parts(), strict=True)))

    def _parts(self) -> tuple[Doubles, ...]:
        return (self.values, self.velocities, self.value_variances, self.covariances, self.velocity_variances)


def _values_of(boxes: Doubles) -> Doubles:
    low, high = boxes[:, :2], boxes[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def _scale(values: Doubles) -> Doubles:
    """Return what noise is a share of: width for what lies across, height for what lies along."""
    return np.maximum(values[:, [2, 3, 2, 3]], _LEAST_SCALE_PX)
