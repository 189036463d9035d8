"""A slide that is drawn tile by tile and never whole: red and green discs on a jittered grid, none touching another."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.segmentation.v1 import segmentation_pb2 as pb

COLOURS = ((230, 20, 0), (20, 230, 0))


@dataclass(frozen=True)
class SyntheticSlide:
    """So many discs that some lie across every kind of seam.

    Args:
        height: pixels.
        width: pixels.
        cell: side of the square that each disc has for itself.
        seed: of sizes, places and colours.
    """

    height: int
    width: int
    cell: int = 80
    seed: int = 0

    @cached_property
    def discs(self) -> NDArray[np.int64]:
        """Rows and columns of cells, and for each disc centre x, centre y, radius and class id."""
        rng = np.random.default_rng(self.seed)
        shape = (self.height // self.cell, self.width // self.cell)
        radii = rng.integers(8, self.cell // 2 - 2, shape)
        room = self.cell - 2 * radii - 3
        y, x = np.mgrid[: shape[0], : shape[1]] * self.cell + radii + 1
        jitter_y, jitter_x = (rng.random((2, *shape)) * room).astype(np.int64)
        return np.stack([x + jitter_x, y + jitter_y, radii, rng.integers(1, 3, shape)], axis=-1)

    @property
    def count(self) -> int:
        """How many discs there are."""
        return int(self.discs.shape[0] * self.discs.shape[1])

    def areas(self) -> NDArray[np.int64]:
        """Return the area of each class's discs, background 0."""
        radii, classes = self.discs[..., 2].ravel(), self.discs[..., 3].ravel()
        return np.bincount(classes, [disc_area(radius) for radius in radii.tolist()], minlength=3).astype(np.int64)

    def tile(self, x: int, y: int, height: int, width: int) -> NDArray[np.uint8]:
        """Return the pixels of a part, uint8 [height, width, 3]."""
        pixels = np.zeros((height, width, 3), np.uint8)
        rows = slice(y // self.cell, (y + height - 1) // self.cell + 1)
        columns = slice(x // self.cell, (x + width - 1) // self.cell + 1)
        for centre_x, centre_y, radius, class_id in self.discs[rows, columns].reshape(-1, 4).tolist():
            cv2.circle(pixels, (centre_x - x, centre_y - y), radius, COLOURS[class_id - 1], -1)
        return pixels

    def messages(
        self, tile_height: int, tile_width: int, options: pb.SegmentationOptions, model: str = ""
    ) -> Iterator[pb.SegmentStreamRequest]:
        """Yield a stream: the start, then tiles, within a row from right to left."""
        message = pb.SegmentStreamRequest()
        geometry = message.start.geometry
        geometry.height, geometry.width = self.height, self.width
        geometry.tile_height, geometry.tile_width = tile_height, tile_width
        message.start.model.name = model
        message.start.options.CopyFrom(options)
        yield message
        for y in range(0, self.height, tile_height):
            for x in reversed(range(0, self.width, tile_width)):
                pixels = self.tile(x, y, min(tile_height, self.height - y), min(tile_width, self.width - x))
                message = pb.SegmentStreamRequest()
                message.tile.x, message.tile.y = x, y
                raw = message.tile.image.raw
                raw.height, raw.width, raw.pixels = pixels.shape[0], pixels.shape[1], pixels.tobytes()
                yield message


def disc_area(radius: int) -> int:
    """Return how many pixels OpenCV draws."""
    side = 2 * radius + 3
    return int(np.count_nonzero(cv2.circle(np.zeros((side, side), np.uint8), (radius + 1, radius + 1), radius, 1, -1)))
