"""WebP headers: lossy, lossless and extended."""

import struct

import pytest

from retinue.runtime.headers.webp import read_webp


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)


def _file(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _canvas(width: int, height: int) -> bytes:
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return _chunk(b"VP8X", b"\x08\0\0\0" + sizes)


LOSSY = _chunk(b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", 640 | 1 << 14, 480 | 2 << 14) + b"data")
LOSSLESS = _chunk(b"VP8L", b"\x2f" + struct.pack("<I", 639 | 479 << 14 | 1 << 28) + b"data")
EXIF = b"II*\0" + struct.pack("<IHHHII", 8, 1, 274, 3, 1, 7)


@pytest.mark.parametrize("chunks", [[LOSSY], [LOSSLESS], [_canvas(640, 480), LOSSY]], ids=["VP8", "VP8L", "VP8X"])
def test_the_first_chunk_gives_the_size(chunks: list[bytes]) -> None:
    header = read_webp(_file(*chunks))

    assert (header.width, header.height, header.exif_orientation) == (640, 480, 1)


def test_a_canvas_of_24_bits_is_read_whole() -> None:
    header = read_webp(_file(_canvas(2**24, 2**16 + 1), LOSSY))

    assert (header.width, header.height) == (2**24, 2**16 + 1)


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_orientation_is_found_behind_chunks_of_odd_length(prefix: bytes) -> None:
    data = _file(_canvas(640, 480), _chunk(b"ICCP", b"odd"), LOSSY, _chunk(b"EXIF", prefix + EXIF))

    assert read_webp(data).exif_orientation == 7


def test_a_simple_file_has_no_exif() -> None:
    assert read_webp(_file(LOSSY, _chunk(b"EXIF", EXIF))).exif_orientation == 1


def test_bytes_after_the_file_are_allowed() -> None:
    assert read_webp(_file(LOSSY) + b"more").width == 640


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (_file(LOSSY)[:-1], "shorter than it says"),
        (_file(b"VP8 " + struct.pack("<I", 2**32 - 1) + bytes(20)), "truncated"),
        (_file(_canvas(2, 2), b"EXIF" + struct.pack("<I", 2**32 - 1)), "truncated"),
        (_file(_chunk(b"VP8 ", bytes(20))), "start with a picture"),
        (_file(_chunk(b"VP8L", bytes(20))), "start with a picture"),
        (_file(_chunk(b"EXIF", EXIF), LOSSY), "start with a picture"),
        (_file(_canvas(2, 2), _chunk(b"JUNK", b"") * 70_000), "65536 chunks"),
    ],
)
def test_broken_and_hostile_headers_are_refused(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_webp(data)
