"""One strip or tile of a TIFF as a file of its own, so that it is decoded as any picture is, within the same limits."""

import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from retinue.runtime.picture import PictureLimits, open_picture

Tags = Mapping[int, tuple[int, ...] | bytes]

MOST_PIXELS = 2**26  # of one strip or tile: it is decoded whole

_LIMITS = PictureLimits(max_bytes=2**29, max_pixels=MOST_PIXELS)
_SHORT, _LONG, _BYTES = 3, 4, 7
_HEADER_BYTES = 8
_ENTRY_BYTES = 12
_INLINE_BYTES = 4


def decode_segment(
    data: bytes, height: int, width: int, tags: Mapping[int, tuple[int, ...] | bytes]
) -> NDArray[np.uint8]:
    """Return the pixels of a strip or tile, uint8 [height, width, 3] RGB.

    Args:
        data: as it stands in the file.
        height: as it was compressed, pixels.
        width: as it was compressed, pixels.
        tags: of the file, those that say how it was compressed: short numbers, or bytes.

    Raises:
        InvalidInput: it cannot be decoded, or is too large.
    """
    return open_picture(_as_file(data, height, width, tags), _LIMITS, field="").pixels()


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
