"""Pictures that models are run on when nobody asks about anything."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from retinue.cli.refusal import Refused
from retinue.runtime.errors import RetinueError
from retinue.runtime.picture import Picture, PictureLimits, open_picture

_HEIGHT, _WIDTH = 375, 500


def trial_pictures(files: Sequence[Path] | None) -> list[Picture]:
    """Return the pictures in files; one that is made here where none is named.

    Raises:
        Refused: one cannot be read, or is none.
    """
    if not files:
        return [open_picture(_made_picture(), PictureLimits())]
    pictures: list[Picture] = []
    for file in files:
        try:
            picture = open_picture(file.read_bytes(), PictureLimits())
            picture.pixels()
            pictures.append(picture)
        except OSError as error:
            raise Refused(f"{file} cannot be read: {error.strerror or type(error).__name__}") from error
        except RetinueError as error:
            raise Refused(f"{file}: {error.message}") from error
    return pictures


def _made_picture() -> bytes:
    """Return a JPEG of 500x375 with about as much in it as a photograph."""
    noise = np.random.default_rng(0).normal(128, 60, (_HEIGHT // 5, _WIDTH // 5, 3)).clip(0, 255).astype(np.uint8)
    pixels = cv2.resize(noise, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC)
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])
