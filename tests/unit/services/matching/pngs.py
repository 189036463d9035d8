"""PNG files made by hand, sound and broken."""

import struct
import zlib
from typing import Any

import cv2

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_of(labels: Any) -> bytes:
    """Return labels, uint8 or uint16 [height, width], as a PNG file."""
    return bytes(cv2.imencode(".png", labels)[1].tobytes())


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def built(
    width: int, height: int, rows: bytes, *, depth: int = 8, colour: int = 0, between: tuple[bytes, ...] = ()
) -> bytes:
    """Return a PNG file of raw rows, each behind its filter's byte."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"".join((SIGNATURE, header, *between, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND")))
