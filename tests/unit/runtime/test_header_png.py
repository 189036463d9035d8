"""PNG headers: chunks are walked to the end chunk, animations become still pictures."""

import struct
import zlib

import pytest

from retinue.runtime.headers.png import read_png

MAGIC = b"\x89PNG\r\n\x1a\n"


def _chunk(kind: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


HEADER = _chunk(b"IHDR", struct.pack(">IIBBBBB", 640, 480, 8, 2, 0, 0, 0))
EXIF = b"MM\0*" + struct.pack(">IHHHIHH", 8, 1, 274, 3, 1, 5, 0)
END = _chunk(b"IEND")


def test_the_header_chunk_gives_the_size() -> None:
    header = read_png(MAGIC + HEADER + _chunk(b"IDAT", b"data") + END)

    assert (header.width, header.height, header.exif_orientation, header.patches) == (640, 480, 1, ())


@pytest.mark.parametrize("chunks", [[b"eXIf", b"IDAT"], [b"IDAT", b"eXIf"]])
def test_orientation_is_found_before_and_after_the_pixels(chunks: list[bytes]) -> None:
    body = b"".join(_chunk(kind, EXIF if kind == b"eXIf" else b"data") for kind in chunks)

    assert read_png(MAGIC + HEADER + body + END).exif_orientation == 5


def test_the_animation_control_chunk_is_renamed_with_a_right_checksum() -> None:
    data = bytearray(MAGIC + HEADER + _chunk(b"acTL", struct.pack(">II", 2, 0)) + _chunk(b"IDAT") + END)
    ((offset, patch),) = read_png(bytes(data)).patches
    data[offset : offset + len(patch)] = patch

    assert bytes(data) == MAGIC + HEADER + _chunk(b"stIL", struct.pack(">II", 2, 0)) + _chunk(b"IDAT") + END


def test_bytes_after_the_end_chunk_are_allowed() -> None:
    assert read_png(MAGIC + HEADER + END + b"more").width == 640


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (MAGIC + _chunk(b"IDAT", bytes(13)) + HEADER + END, "header chunk"),
        (MAGIC + _chunk(b"IHDR", bytes(12)) + bytes(9) + END, "header chunk"),
        (MAGIC + HEADER + struct.pack(">I", 2**31 - 1) + b"IDAT" + END, "truncated"),
        (MAGIC + HEADER + struct.pack(">I", 2**32 - 1) + b"IDAT" + END, "truncated"),
        (MAGIC + HEADER + _chunk(b"IDAT", b"data")[:-1], "truncated"),
        (MAGIC + HEADER + END[:-1], "truncated"),
        (MAGIC + HEADER + _chunk(b"IDAT") * 65536 + END, "65536 chunks"),
        (MAGIC + HEADER + _chunk(b"acTL", bytes(8)) * 9 + END, "animation control"),
    ],
)
def test_broken_and_hostile_headers_are_refused(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_png(data)


def test_a_file_without_its_end_chunk_is_refused() -> None:
    with pytest.raises(struct.error):
        read_png(MAGIC + HEADER + _chunk(b"IDAT", b"data"))
