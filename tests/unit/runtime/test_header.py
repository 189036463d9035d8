"""Header reading as a whole: every format is found, all else is refused in words, nothing else is raised."""

import contextlib
import io

import pytest
from PIL import Image

from retinue.runtime.header import read_header
from retinue.runtime.headers.record import PictureFormat


def _file(extension: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture = Image.effect_noise((13, 7), 60).convert("RGB")
    picture.save(buffer, extension, **options)
    return buffer.getvalue()


FILES = {
    "jpeg": _file("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0"),
    "progressive jpeg": _file("JPEG", progressive=True),
    "png": _file("PNG"),
    "webp": _file("WEBP"),
    "lossless webp": _file("WEBP", lossless=True),
    "extended webp": _file("WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0\0\0\0\0"),
    "bmp": _file("BMP"),
    "tiff": _file("TIFF"),
    "compressed tiff": _file("TIFF", compression="tiff_lzw"),
    "big tiff": _file("TIFF", big_tiff=True),
}


@pytest.mark.parametrize("name", FILES)
def test_size_and_format_are_found_without_decoding(name: str) -> None:
    header = read_header(FILES[name])

    assert (header.width, header.height) == (13, 7)
    assert header.format is PictureFormat(name.rpartition(" ")[2])


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_anywhere_is_refused_or_keeps_its_size(name: str) -> None:
    """A cut through trailing bytes that no decoder needs is none."""
    data = FILES[name]
    for length in range(len(data)):
        try:
            header = read_header(data[:length])
        except ValueError:
            continue
        assert (header.width, header.height) == (13, 7)
        assert length >= len(data) - 2, f"a file cut to {length} of {len(data)} bytes passed"


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_any_one_byte_changed_raises_nothing_but_value_error(name: str) -> None:
    data = FILES[name]
    for position in range(min(len(data), 400)):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            changed = bytearray(data)
            changed[position] = value
            with contextlib.suppress(ValueError):
                read_header(bytes(changed))


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a\x01\0\x01\0\0\0\0;",
        b"\0\0\0\x1cftypavif\0\0\0\0mif1avif",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"\xff\x4f\xff\x51\0\x2f",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<!doctype html><title>404</title>",
        b"%PDF-1.7",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"P6 1 1 255 \0\0\0",
        b"\0" * 100,
        b"B",
        b"\xff\xd8",
    ],
    ids=["gif", "avif", "jp2", "j2k", "svg", "html", "pdf", "wav", "ppm", "zeros", "one byte", "two bytes"],
)
def test_other_files_are_refused_with_the_list_of_formats(data: bytes) -> None:
    with pytest.raises(ValueError, match="no JPEG, PNG, WebP, BMP or TIFF file"):
        read_header(data)


def test_no_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="there are no bytes"):
        read_header(b"")


@pytest.mark.parametrize(
    "magic", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"BM", b"II*\0", b"MM\0+"]
)
def test_a_magic_alone_is_refused_as_truncated(magic: bytes) -> None:
    with pytest.raises(ValueError, match="truncated"):
        read_header(magic)
