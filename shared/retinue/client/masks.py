"""Masks as they were sent, decoded only when somebody looks at them."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue import ops  # its operations load numba, so they are looked up when a mask is
from retinue.common.v1 import geometry_pb2


@dataclass(frozen=True, slots=True)
class EncodedMask:
    """A mask as the service wrote it: run lengths, a PNG or polygons.

    Args:
        message: what was sent.
        height: of the frame it lies in, pixels.
        width: of the frame it lies in, pixels.
    """

    message: geometry_pb2.Mask = field(repr=False)
    height: int
    width: int

    def pixels(self) -> NDArray[np.bool_]:
        """Return the mask, bool [height, width].

        Raises:
            ValueError: what was sent is no mask of this frame.
        """
        if self.message.WhichOneof("encoding") == "png":
            return self._checked(decode_png(self.message.png) > 0)
        return np.asarray(ops.rle_decode(self._rle()), np.bool_)

    def window(self, box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
        """Return a part of the mask; what it costs grows with the part and the runs, not with the frame, but for PNGs.

        Args:
            box: ``x_min, y_min, x_max, y_max`` in the frame, whole pixels.

        Raises:
            ValueError: what was sent is no mask of this frame, or the box does not lie in it.
        """
        x_min, y_min, x_max, y_max = box
        if not (0 <= x_min <= x_max <= self.width and 0 <= y_min <= y_max <= self.height):
            raise ValueError(f"box {box} does not lie in a mask of {self.width}x{self.height} pixels")
        if self.message.WhichOneof("encoding") == "png":
            return self.pixels()[y_min:y_max, x_min:x_max]
        # Runs go down the columns, so that those of some columns are a piece of all.
        ends = np.cumsum(self._rle().counts, dtype=np.int64)
        inside = np.clip(ends, x_min * self.height, x_max * self.height) - x_min * self.height
        is_set = np.arange(len(ends)) % 2 == 1
        columns = np.repeat(is_set, np.diff(inside, prepend=0))
        return np.ascontiguousarray(columns.reshape(x_max - x_min, self.height).T[y_min:y_max])

    def _rle(self) -> "ops.Rle":
        if self.message.WhichOneof("encoding") == "polygons":
            rings = [np.array(ring.vertices_xy).reshape(-1, 2) for ring in self.message.polygons.polygons]
            return ops.rle_from_polygons(rings, self.height, self.width)
        runs = self.message.rle
        if (runs.height, runs.width) != (self.height, self.width):
            raise self._other_size(runs.height, runs.width)
        return ops.rle_from_string(runs.counts, runs.height, runs.width)

    def _checked(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if mask.shape != (self.height, self.width):
            raise self._other_size(*mask.shape)
        return mask

    def _other_size(self, height: int, width: int) -> ValueError:
        return ValueError(f"the mask is {width}x{height} pixels, its frame {self.width}x{self.height}")


def decode_png(data: bytes) -> NDArray[np.uint8]:
    """Return the pixels of an 8-bit grey PNG, uint8 [height, width].

    Raises:
        ValueError: it is none.
    """
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if pixels is None or pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise ValueError("what was sent is no 8-bit grey PNG")
    return np.asarray(pixels, np.uint8)
