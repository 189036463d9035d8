"""JPEG: the segments before the first scan, and whether the file has an end."""

import struct
from collections.abc import Iterator

import numpy as np

from retinue.runtime.headers.exif import read_orientation
from retinue.runtime.headers.record import PictureFormat, PictureHeader

_START_OF_SCAN, _APP1 = 0xDA, 0xE1
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
# C4, C8 and CC lie in the same range but define tables or are reserved.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_FORBIDDEN = frozenset({0x00, 0xD8, 0xD9})
# Real files have some dozens; a file of nothing but four-byte segments must not keep a thread busy.
_MAX_SEGMENTS = 4096
# Every scan of a progressive file costs a pass over the whole picture and can be a few bytes long; encoders write
# about ten.
_MAX_SCANS = 100
_MARKER = struct.Struct(">BBH")
_FRAME = struct.Struct(">BHHB")


def read_jpeg(data: bytes) -> PictureHeader:
    """Return the header of a JPEG file.

    Args:
        data: the whole file, starting with `FF D8 FF`.

    Raises:
        ValueError: the segments are broken, a frame is missing or comes twice, samples do not have 8 bits, the file
            is truncated (no end-of-image marker after the first scan), or it has more than 100 scans.
        struct.error: it ends inside a segment.

    Source:
        ITU-T T.81, annex B.
    """
    frame = None
    frame_marker = orientation = scan = 0
    for marker, position, length in _segments(data):
        if marker in _FRAMES:
            if frame is not None:
                raise ValueError("the JPEG file has two frames")
            frame, frame_marker = _FRAME.unpack_from(data, position), marker
        elif marker == _APP1 and not orientation and data.startswith(b"Exif\0\0", position):
            orientation = read_orientation(data, position, min(position + length, len(data)))
        elif marker == _START_OF_SCAN:
            scan = position
    if frame is None:
        raise ValueError("the JPEG file has no frame before its first scan")
    bits, height, width, component_count = frame
    if bits != 8:
        raise ValueError(f"the JPEG file has samples of {bits} bits; 8 are read")
    # Inside a scan FF is always followed by 00 or a restart marker, so this cannot be met by chance; it is searched
    # from the end, where it nearly always is.
    if data.rfind(b"\xff\xd9", scan) < 0:
        raise ValueError("the JPEG file is truncated: it has no end-of-image marker")
    is_one_scan = frame_marker not in _PROGRESSIVE and data[scan] == component_count
    if not is_one_scan and 1 + _marker_count(data, scan, _START_OF_SCAN) > _MAX_SCANS:
        raise ValueError(f"the JPEG file has more than {_MAX_SCANS} scans")
    return PictureHeader(PictureFormat.JPEG, width, height, orientation or 1)


def _marker_count(data: bytes, position: int, marker: int) -> int:
    """Return how often a marker comes at or after a position; five times as fast as `bytes.count` for two bytes."""
    tail = np.frombuffer(data, np.uint8, -1, position)
    return int(np.count_nonzero((tail[:-1] == 0xFF) & (tail[1:] == marker)))


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, first byte after the length field and number of bytes of each segment up to the first scan's."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        fill, marker, length = _MARKER.unpack_from(data, position)
        if fill != 0xFF or marker in _FORBIDDEN:
            raise ValueError("the JPEG file has no marker where one must be")
        if marker == 0xFF:  # a marker may be preceded by any number of these
            position += 1
        elif marker in _WITHOUT_LENGTH:
            position += 2
        elif length < 2:
            raise ValueError("the JPEG file has a segment shorter than its own length field")
        else:
            yield marker, position + 4, length - 2
            if marker == _START_OF_SCAN:
                return
            position += 2 + length
    raise ValueError(f"the JPEG file has more than {_MAX_SEGMENTS} segments before its first scan")
