"""Pictures as callers have them, turned into the message that is sent; what cannot be one is refused before sending."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retinue.client.channel import DEFAULT_MAX_MESSAGE_BYTES
from retinue.common.v1 import image_pb2

PictureSource = str | os.PathLike[str] | bytes | bytearray | memoryview | NDArray[np.uint8]
"""A file's path (a str is always a path), an encoded file's bytes, or upright pixels.

Pixels are uint8, RGB [height, width, 3] or grey [height, width].
"""

MAX_ID_CHARACTERS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture with a name of the caller's own, which its answer carries.

    Args:
        source: see `PictureSource`.
        image_id: at most 256 characters; by default the file's name, or empty where there is no file.
    """

    source: PictureSource
    image_id: str | None = None


def image_id_of(picture: PictureSource | Picture) -> str:
    """Return the name under which a picture is sent.

    >>> image_id_of("cells/slide-3.png")
    'slide-3.png'
    """
    if isinstance(picture, Picture):
        return image_id_of(picture.source) if picture.image_id is None else picture.image_id
    if isinstance(picture, str | os.PathLike):
        # A file's name may hold bytes that are no UTF-8, and a message may not.
        return os.fsencode(Path(picture).name).decode("utf-8", "replace")
    return ""


def image_message(picture: PictureSource | Picture, *, max_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> image_pb2.Image:
    """Return the message that carries a picture.

    Args:
        picture: a path, the bytes of an encoded file, pixels, or any of them in a `Picture` with a name.
        max_bytes: the most that is read or sent, bytes.

    Raises:
        FileNotFoundError: there is no such file; other OSErrors where it cannot be read.
        TypeError: it is none of the kinds of `PictureSource`.
        ValueError: it is empty, above ``max_bytes``, an array of another shape or dtype, no regular file, or its name
            is too long.

    >>> image_message(np.zeros((2, 3), np.uint8)).raw.width
    3
    """
    source = picture.source if isinstance(picture, Picture) else picture
    if isinstance(source, np.ndarray):
        message = image_pb2.Image(raw=_raw_image(source, max_bytes))
    elif isinstance(source, str | os.PathLike):
        message = image_pb2.Image(encoded=_file_bytes(Path(source), max_bytes))
    elif isinstance(source, bytes | bytearray | memoryview):
        _check_size(len(source) if isinstance(source, bytes | bytearray) else source.nbytes, max_bytes)
        message = image_pb2.Image(encoded=bytes(source))
    else:
        raise TypeError(f"a picture is a path, bytes or a uint8 array, not {type(source).__name__}")
    image_id = image_id_of(picture)
    if len(image_id) > MAX_ID_CHARACTERS:
        raise ValueError(f"image_id has {len(image_id)} characters, at most {MAX_ID_CHARACTERS} are allowed")
    message.id = image_id
    return message


def _file_bytes(path: Path, max_bytes: int) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is no regular file")  # a pipe would block, a device would never end
    _check_size(status.st_size, max_bytes)
    return path.read_bytes()


def _raw_image(pixels: NDArray[np.uint8], max_bytes: int) -> image_pb2.RawImage:
    if pixels.dtype != np.uint8:
        raise ValueError(f"pixels are {pixels.dtype}, must be uint8 in [0, 255]")
    if pixels.ndim == 2:
        pixel_format = image_pb2.PIXEL_FORMAT_GRAY
    elif pixels.ndim == 3 and pixels.shape[2] == 3:
        pixel_format = image_pb2.PIXEL_FORMAT_RGB
    else:
        raise ValueError(f"pixels have shape {pixels.shape}, must be [height, width, 3] RGB or [height, width] grey")
    _check_size(pixels.nbytes, max_bytes)
    height, width = pixels.shape[:2]
    return image_pb2.RawImage(height=height, width=width, pixel_format=pixel_format, pixels=pixels.tobytes())


def _check_size(size_bytes: int, max_bytes: int) -> None:
    if size_bytes == 0:
        raise ValueError("the picture is empty")
    if size_bytes > max_bytes:
        raise ValueError(f"the picture has {size_bytes} bytes, at most {max_bytes} are sent")
