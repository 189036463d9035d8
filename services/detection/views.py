"""The tiles of a picture that is decoded once for all of them."""

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinue.ops import Tile
from retinue.runtime.picture import Picture
from retinue.runtime.view import Size


class SharedPicture:
    """A picture that several workers look at; the first of them decodes it, and the pixels live as long as this."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._lock = threading.Lock()
        self._pixels: NDArray[np.uint8] | None = None

    @property
    def size(self) -> Size:
        """Height and width, pixels."""
        return self._picture.info.height, self._picture.info.width

    def pixels(self) -> NDArray[np.uint8]:
        """Return uint8 [height, width, 3], upright RGB, the same at every call.

        Raises:
            InvalidImage: it cannot be decoded.
        """
        with self._lock:
            if self._pixels is None:
                self._pixels = self._picture.pixels()
            return self._pixels


@dataclass(frozen=True, slots=True)
class TileView:
    """A tile of a picture."""

    picture: SharedPicture
    tile: Tile

    @property
    def size(self) -> Size:
        """Height and width, pixels."""
        return self.tile.valid_height, self.tile.valid_width

    def pixels(self) -> NDArray[np.uint8]:
        """Return uint8 [height, width, 3], upright RGB.

        Raises:
            InvalidImage: the picture cannot be decoded.
        """
        return np.ascontiguousarray(self.picture.pixels()[self.tile.slices])
