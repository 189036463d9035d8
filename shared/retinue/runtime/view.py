"""What a pipeline looks at: pixels whose size is known before anything is decoded."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retinue.runtime.picture import Picture

Size = tuple[int, int]


class View(Protocol):
    """A whole picture, or a part of one."""

    @property
    def size(self) -> Size:
        """Height and width, pixels."""

    def pixels(self) -> NDArray[np.uint8]:
        """Return uint8 [height, width, 3], upright RGB. Raises InvalidImage where they cannot be decoded."""


@dataclass(frozen=True, slots=True)
class WholePicture:
    """A picture, decoded by who looks at it."""

    picture: Picture

    @property
    def size(self) -> Size:
        """Height and width, pixels."""
        return self.picture.info.height, self.picture.info.width

    def pixels(self) -> NDArray[np.uint8]:
        """Return uint8 [height, width, 3], upright RGB.

        Raises:
            InvalidImage: it cannot be decoded.
        """
        return self.picture.pixels()


@dataclass(frozen=True, slots=True)
class Cut:
    """Pixels that are there already, such as a part of a picture."""

    array: NDArray[np.uint8]

    @property
    def size(self) -> Size:
        """Height and width, pixels."""
        return self.array.shape[0], self.array.shape[1]

    def pixels(self) -> NDArray[np.uint8]:
        """Return uint8 [height, width, 3]."""
        return self.array
