"""One strip or tile of a TIFF as a file of its own, so that libtiff decodes it, and no more than it is said to be."""

import io
import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Tags = Mapping[int, tuple[int, ...] | bytes]

MOST_PIXELS = 2**26  # of one strip or tile: it is decoded whole

_COMPRESSION, _JPEG = 259, 7
_END_OF_JPEG = b"\xff\xd9"
_SHORT, _LONG, _BYTES = 3, 4, 7
_HEADER_BYTES = 8
_INLINE_BYTES = 4


def decode_segment(data: bytes, height: int, width: int, tags: Tags) -> NDArray[np.uint8]:
    """Return the pixels of a strip or tile, uint8 [height, width, 3] RGB or [height, width] grey.

    Pillow is asked, since OpenCV gives black where it finds damage.

    Args:
        data: as it stands in the file.
        height: as it was compressed, pixels.
        width: as it was compressed, pixels.
        tags: of the file, those that say how it was compressed: short numbers, or bytes.

    Raises:
        ValueError: it cannot be decoded, or is too large.
    """
    if height * width > MOST_PIXELS:
        raise ValueError(f"{width} x {height} pixels are above the limit of {MOST_PIXELS} pixels")
    if tags.get(_COMPRESSION) == (_JPEG,) and _END_OF_JPEG not in data:
        raise ValueError("its JPEG has no end")  # libjpeg would fill it up with grey
    try:
        with Image.open(io.BytesIO(_as_file(data, height, width, tags)), formats=["TIFF"]) as picture:
            pixels = np.array(picture if picture.mode == "L" else picture.convert("RGB"))
    except (OSError, SyntaxError, KeyError) as error:  # SyntaxError: Pillow's word for what it does not read
        raise ValueError(str(error)) from error
    return pixels


def _as_file(data: bytes, height: int, width: int, tags: Tags) -> bytes:
    """Return a little-endian TIFF of one strip: the strip first, then values that do not fit entries, then entries."""
    start = _HEADER_BYTES
    values = {
        256: struct.pack("<I", width),
        257: struct.pack("<I", height),
        273: struct.pack("<I", start),
        278: struct.pack("<I", height),
        279: struct.pack("<I", len(data)),
    }
    kinds = dict.fromkeys(values, _LONG)
    for code, value in tags.items():
        kinds[code] = _BYTES if isinstance(value, bytes) else _SHORT
        values[code] = value if isinstance(value, bytes) else struct.pack(f"<{len(value)}H", *value)
    body = bytearray(data)
    entries = bytearray()
    for code in sorted(values):
        value, kind = values[code], kinds[code]
        count = len(value) // {_SHORT: 2, _LONG: 4, _BYTES: 1}[kind]
        if len(value) > _INLINE_BYTES:
            body += b"\0" * (len(body) % 2)
            place = struct.pack("<I", start + len(body))
            body += value
        else:
            place = value.ljust(_INLINE_BYTES, b"\0")
        entries += struct.pack("<HHI", code, kind, count) + place
    body += b"\0" * (len(body) % 2)
    head = b"II*\0" + struct.pack("<I", start + len(body))
    return head + body + struct.pack("<H", len(values)) + entries + struct.pack("<I", 0)
