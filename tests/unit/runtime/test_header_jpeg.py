"""JPEG headers: legal oddities are read, broken and hostile ones are refused."""

import struct

import pytest

from retinue.runtime.headers.jpeg import read_jpeg

SCAN = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x12\x34" + b"\xff\xd9"


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _frame(width: int, height: int, marker: int = 0xC0, bits: int = 8) -> bytes:
    return _segment(marker, struct.pack(">BHHB3x", bits, height, width, 1))


def _exif(orientation: int) -> bytes:
    return _segment(0xE1, b"Exif\0\0II*\0" + struct.pack("<IHHHII", 8, 1, 274, 3, 1, orientation))


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2, 0xC9, 0xCA])
def test_the_frame_gives_the_size(marker: int) -> None:
    header = read_jpeg(b"\xff\xd8" + _segment(0xE0, b"JFIF\0") + _frame(640, 480, marker) + SCAN)

    assert (header.width, header.height, header.exif_orientation) == (640, 480, 1)


def test_tables_are_no_frames() -> None:
    """C4, C8 and CC lie among the frame markers."""
    tables = b"".join(_segment(marker, b"\xff" * 9) for marker in (0xC4, 0xC8, 0xCC))

    assert read_jpeg(b"\xff\xd8" + tables + _frame(3, 2) + SCAN).width == 3


def test_fill_bytes_and_markers_without_length_are_skipped() -> None:
    assert read_jpeg(b"\xff\xd8\xff\xff\xff\x01\xff\xd0" + _frame(3, 2) + b"\xff\xff" + SCAN).height == 2


def test_orientation_is_that_of_the_first_exif_block() -> None:
    other = _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0")

    assert read_jpeg(b"\xff\xd8" + other + _exif(6) + _exif(3) + _frame(3, 2) + SCAN).exif_orientation == 6


def test_orientation_after_the_frame_is_found() -> None:
    assert read_jpeg(b"\xff\xd8" + _frame(3, 2) + _exif(8) + SCAN).exif_orientation == 8


def test_bytes_after_the_end_are_allowed() -> None:
    assert read_jpeg(b"\xff\xd8" + _frame(3, 2) + SCAN + bytes(1000)).width == 3


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\xff\xd8" + SCAN, "no frame"),
        (b"\xff\xd8" + _frame(3, 2) + _frame(60000, 60000) + SCAN, "two frames"),
        (b"\xff\xd8" + _frame(3, 2) + b"\0" + SCAN, "no marker"),
        (b"\xff\xd8" + _frame(3, 2) + b"\xff\xd8" + SCAN, "no marker"),
        (b"\xff\xd8\xff\xd9" + _frame(3, 2) + SCAN, "no marker"),
        (b"\xff\xd8\xff\xe0\x00\x01" + _frame(3, 2) + SCAN, "shorter than its own length"),
        (b"\xff\xd8" + _frame(3, 2, bits=12) + SCAN, "12 bits"),
        (b"\xff\xd8" + _frame(3, 2) + SCAN[:-1], "truncated"),
        (b"\xff\xd8" + _segment(0xE0, b"") * 5000 + _frame(3, 2) + SCAN, "segments"),
        (b"\xff\xd8" + b"\xff" * 100_000, "segments"),
        (b"\xff\xd8" + _frame(3, 2, 0xC2) + SCAN[:-2] * 101 + b"\xff\xd9", "scans"),
    ],
)
def test_broken_and_hostile_headers_are_refused(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_jpeg(data)


def test_the_end_marker_of_a_thumbnail_does_not_hide_a_truncation() -> None:
    thumbnail = _segment(0xE1, b"Exif\0\0" + b"\xff\xd8" + SCAN)

    with pytest.raises(ValueError, match="truncated"):
        read_jpeg(b"\xff\xd8" + thumbnail + _frame(3, 2) + SCAN[:-2])


def test_a_progressive_file_may_have_100_scans() -> None:
    assert read_jpeg(b"\xff\xd8" + _frame(3, 2, 0xC2) + SCAN[:-2] * 100 + b"\xff\xd9").width == 3
