"""Drawn answers as files: one PNG per picture, none written over another or over a picture that was asked about."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.cli.refusal import Refused
from retinue.runtime.errors import InvalidInput
from retinue.runtime.picture import PictureLimits, open_picture

Answer = TypeVar("Answer")

_LIMITS = PictureLimits(max_bytes=2**30, max_pixels=500_000_000)  # wide: the service has its own and took the picture
_MAX_STEM_BYTES = 200  # file systems end at 255 for the whole name


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
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Refused(f"--out {folder}: {error.strerror}") from error
        self._folder = folder.resolve()
        self._draw = draw
        self._suffix = suffix
        # Without regard to case, since some file systems have none.
        self._taken = {str(path.resolve()).casefold() for path in pictures}
        self._tried: Counter[str] = Counter()

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
        stem = os.fsdecode(os.fsencode(picture.stem)[:_MAX_STEM_BYTES])
        while True:
            self._tried[stem] += 1
            number = self._tried[stem]
            name = f"{stem}-{self._suffix}" if number == 1 else f"{stem}-{self._suffix}-{number}"
            path = self._folder / f"{name}.png"
            key = str(path).casefold()
            if key not in self._taken:
                self._taken.add(key)
                return path
