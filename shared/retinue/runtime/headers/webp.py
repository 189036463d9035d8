"""WebP: lossy, lossless, and extended with EXIF, alpha or animation."""

import struct

from retinue.runtime.headers.exif import read_orientation
from retinue.runtime.headers.record import PictureFormat, PictureHeader

_CHUNK = struct.Struct("<4sI")
_LENGTH = struct.Struct("<I")
_LOSSY = struct.Struct("<3s3sHH")
_LOSSLESS = struct.Struct("<BI")
_CANVAS = struct.Struct("<IHBHB")
# A frame is a chunk: more than twice the frames of an hour at 24 a second is no picture any more.
_MAX_CHUNKS = 65536


def read_webp(data: bytes) -> PictureHeader:
    """Return the header of a WebP file; of an animation, that of its canvas.

    Args:
        data: the whole file, starting with `RIFF`, a length and `WEBP`.

    Raises:
        ValueError: a chunk reaches beyond the file, the first chunk is no picture, or there are more than 65536.
        struct.error: it ends inside a chunk's head.

    Source:
        RFC 9649, sections 2.3 to 2.7 (container) and 3 (lossless); RFC 6386, section 9.1 (lossy frame header).
    """
    end_of_file = 8 + _LENGTH.unpack_from(data, 4)[0]
    if end_of_file > len(data):
        raise ValueError("the WebP file is truncated: it is shorter than it says")
    kind, length = _CHUNK.unpack_from(data, 12)
    if 20 + length > end_of_file:
        raise ValueError("the WebP file is truncated: a chunk reaches beyond its end")
    if kind == b"VP8X":
        _, low, high, rows_low, rows_high = _CANVAS.unpack_from(data, 20)
        orientation = _orientation(data, 30, end_of_file)
        width, height = 1 + low + (high << 16), 1 + rows_low + (rows_high << 16)
        return PictureHeader(PictureFormat.WEBP, width, height, orientation)
    if kind == b"VP8L":
        signature, sizes = _LOSSLESS.unpack_from(data, 20)
        if signature == 0x2F:
            return PictureHeader(PictureFormat.WEBP, 1 + (sizes & 0x3FFF), 1 + (sizes >> 14 & 0x3FFF))
    if kind == b"VP8 ":
        _, start_code, width, height = _LOSSY.unpack_from(data, 20)
        if start_code == b"\x9d\x01\x2a":
            return PictureHeader(PictureFormat.WEBP, width & 0x3FFF, height & 0x3FFF)
    raise ValueError("the WebP file does not start with a picture")


def _orientation(data: bytes, position: int, end_of_file: int) -> int:
    for _ in range(_MAX_CHUNKS):
        if position + 8 > end_of_file:
            return 1
        kind, length = _CHUNK.unpack_from(data, position)
        end = position + 8 + length
        if end > end_of_file:
            raise ValueError("the WebP file is truncated: a chunk reaches beyond its end")
        if kind == b"EXIF":
            return read_orientation(data, position + 8, end)
        position = end + length % 2
    raise ValueError(f"the WebP file has more than {_MAX_CHUNKS} chunks")
