"""Drawn answers as files: one PNG per picture, none written over another or over a picture that was asked about."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.cli.fresh_names import FreshNames
from retinue.runtime.errors import InvalidInput
from retinue.runtime.picture import PictureLimits, open_picture

Answer = TypeVar("Answer")

_LIMITS = PictureLimits(max_bytes=2**30, max_pixels=500_000_000)  # wide: the service has its own and took the picture


class DrawnFiles(Generic[Answer]):
    """A folder for drawn answers.

    Args:
        folder: made if it is not there.
        pictures: files that are not to be written over.
        draw: makes the drawing of a picture, uint8 [height, width, 3] RGB, with its answer.
        suffix: what is added to a picture's name.

    Raises:
        Refused: the folder cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        pictures: Iterable[Path],
        draw: Callable[[NDArray[np.uint8], Answer], NDArray[np.uint8]],
        suffix: str,
    ) -> None:
        self._names = FreshNames(folder, pictures, option="--out")
        self._draw = draw
        self._suffix = suffix

    def write(self, picture: Path, answer: Answer) -> str:
        """Draw the answer on its picture and return what went wrong; empty if nothing did."""
        try:
            pixels = open_picture(picture.read_bytes(), _LIMITS).pixels()
            drawn = np.ascontiguousarray(self._draw(pixels, answer)[:, :, ::-1])
            self.place(picture).write_bytes(cv2.imencode(".png", drawn)[1].tobytes())
        except OSError as error:
            return f"{error.filename}: {error.strerror}"
        except InvalidInput as error:
            return f"{picture}: {error.problem}"
        except ValueError as error:  # the file is not the one that was asked about any more
            return f"{picture}: {error}"
        return ""

    def place(self, picture: Path) -> Path:
        """Return where a picture's drawing goes: another file at every call."""
        return self._names.place(picture, f"-{self._suffix}.png")
