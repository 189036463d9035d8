"""Pictures: limits before decoding, then upright 8-bit RGB by the rules of docs/images.md."""

import dataclasses
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from retinue.runtime.errors import ImageTooLarge, InvalidImage, InvalidInput
from retinue.runtime.picture import PictureFormat, PictureInfo, PictureLimits, open_picture, raw_picture

LIMITS = PictureLimits()
NOISE = np.random.default_rng(0).integers(0, 256, (37, 61, 4), np.uint8)
SMOOTH = cv2.resize(NOISE[:5, :8, :3].copy(), (160, 120), interpolation=cv2.INTER_CUBIC)


def _saved(picture: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def _pixels(data: bytes) -> NDArray[np.uint8]:
    return open_picture(data, LIMITS).pixels()


def _pillow(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


RGB, RGBA = Image.fromarray(NOISE[..., :3]), Image.fromarray(NOISE)
FILES = {
    "jpeg": _saved(Image.fromarray(SMOOTH), "JPEG"),
    "progressive jpeg": _saved(Image.fromarray(SMOOTH), "JPEG", progressive=True),
    "png": _saved(RGB, "PNG"),
    "webp": _saved(Image.fromarray(SMOOTH), "WEBP"),
    "lossless webp": _saved(RGB, "WEBP", lossless=True),
    "extended webp": _saved(RGBA, "WEBP", lossless=True, exact=True, exif=b"II*\0\x08\0\0\0\0\0"),
    "bmp": _saved(RGB, "BMP"),
    "palette bmp": _saved(RGB.quantize(), "BMP"),
    "tiff": _saved(RGB, "TIFF"),
    "lzw tiff": _saved(RGB, "TIFF", compression="tiff_lzw"),
    "jpeg tiff": _saved(Image.fromarray(SMOOTH), "TIFF", compression="jpeg"),
}


class TestOpening:
    def test_a_picture_is_known_before_it_is_decoded(self) -> None:
        picture = open_picture(FILES["png"], LIMITS)

        assert picture.info == PictureInfo(61, 37, 1, False, PictureFormat.PNG)
        assert picture.byte_count == len(FILES["png"])

    @pytest.mark.parametrize(("orientation", "size"), [(1, (61, 37)), (4, (61, 37)), (5, (37, 61)), (8, (37, 61))])
    def test_the_size_is_that_of_the_upright_picture(self, orientation: int, size: tuple[int, int]) -> None:
        exif = Image.Exif()
        exif[274] = orientation
        info = open_picture(_saved(RGB, "JPEG", exif=exif), LIMITS).info

        assert (info.width, info.height) == size
        assert (info.exif_orientation, info.is_orientation_applied) == (orientation, orientation != 1)

    def test_limits_themselves_are_allowed(self) -> None:
        data = FILES["png"]

        assert open_picture(data, PictureLimits(len(data), 37 * 61)).pixels().shape == (37, 61, 3)

    def test_a_file_above_the_byte_limit_is_too_large(self) -> None:
        with pytest.raises(ImageTooLarge, match=r"images\[3\]\.encoded: 5 bytes are above the limit of 4") as caught:
            open_picture(b"BM   ", PictureLimits(max_bytes=4), field="images[3].encoded")

        assert caught.value.metadata == {"field": "images[3].encoded", "limit": "4", "actual": "5"}

    def test_a_bomb_is_too_large_before_it_is_decoded(self) -> None:
        header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
        chunks = b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(10**6))), (b"IEND", b"")]
        )
        with pytest.raises(ImageTooLarge, match="60000 x 60000 pixels are above the limit of 50000000") as caught:
            open_picture(b"\x89PNG\r\n\x1a\n" + chunks, LIMITS)

        assert caught.value.metadata["actual"] == "3600000000"

    def test_a_side_above_65535_is_too_large(self) -> None:
        with pytest.raises(ImageTooLarge, match="a side is above the limit of 65535"):
            open_picture(_saved(Image.new("L", (65536, 1)), "PNG"), LIMITS)

    def test_a_picture_without_pixels_is_refused(self) -> None:
        data = bytearray(FILES["png"])
        data[16:20] = bytes(4)

        with pytest.raises(InvalidImage, match=r"image\.encoded: a picture of 0 x 37 pixels has none"):
            open_picture(bytes(data), LIMITS)

    @pytest.mark.parametrize("data", [b"", b"GIF89a", b"<html>", bytes(100)])
    def test_other_bytes_are_refused_with_the_formats(self, data: bytes) -> None:
        with pytest.raises(InvalidImage, match=r"^upload: .*JPEG, PNG, WebP, BMP or TIFF file") as caught:
            open_picture(data, LIMITS, field="upload")

        assert caught.value.field == "upload"


class TestDamage:
    @pytest.mark.parametrize("percent", [25, 50, 75, 99])
    @pytest.mark.parametrize("name", FILES)
    def test_a_truncated_file_is_no_picture(self, name: str, percent: int) -> None:
        data = FILES[name]

        with pytest.raises(InvalidImage, match=r"^image\.encoded: "):
            _pixels(data[: len(data) * percent // 100])

    def test_a_damaged_png_is_no_picture(self) -> None:
        data = bytearray(FILES["png"])
        data[len(data) // 2] ^= 1

        with pytest.raises(InvalidImage, match=r"upload: the PNG file cannot be decoded"):
            open_picture(bytes(data), LIMITS, field="upload").pixels()

    def test_a_png_whose_pixels_end_early_is_no_picture(self) -> None:
        data = FILES["png"]
        body = zlib.compress(bytes(1000))
        short = struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body))

        with pytest.raises(InvalidImage):
            _pixels(data[:33] + short + data[-12:])

    def test_run_lengths_that_end_early_are_no_picture(self) -> None:
        head = struct.pack("<IiiHHIIIIII", 40, 8, 8, 1, 8, 1, 0, 0, 0, 256, 0)
        data = b"BM" + struct.pack("<III", 0, 0, 1078) + head + bytes(1024) + b"\x08\x05\0\0"

        with pytest.raises(InvalidImage):
            _pixels(data)

    def test_pixels_of_another_size_than_the_header_said_are_no_picture(self) -> None:
        """No file is known that does this; were there one, boxes and limits would belong to another picture."""
        picture = open_picture(FILES["png"], LIMITS)
        other = dataclasses.replace(picture, _header=picture._header._replace(width=60))

        with pytest.raises(InvalidImage, match="differ in size"):
            other.pixels()

    def test_more_compressed_data_than_the_header_promised_is_left_alone(self) -> None:
        body = zlib.compress(bytes(10**7))
        surplus = struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body))
        data = _saved(Image.new("RGB", (1, 1)), "PNG")

        assert _pixels(data[:33] + surplus + data[-12:]).shape == (1, 1, 3)

    def test_a_lossless_picture_that_is_larger_than_its_canvas_is_no_picture(self) -> None:
        data = bytearray(FILES["extended webp"])
        data[24:30] = b"\x01\0\0\x01\0\0"

        assert open_picture(bytes(data), LIMITS).info.width == 2
        with pytest.raises(InvalidImage):
            _pixels(bytes(data))


ORIENTED = [("JPEG", {"quality": 100, "subsampling": 0}), ("PNG", {}), ("WEBP", {"lossless": True})]


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize(("file_format", "options"), ORIENTED, ids=["JPEG", "PNG", "WEBP"])
    def test_exif_is_applied_once(self, file_format: str, options: dict[str, object], orientation: int) -> None:
        exif = Image.Exif()
        exif[274] = orientation
        data = _saved(Image.fromarray(SMOOTH), file_format, exif=exif, **options)
        pixels = _pixels(data)

        assert _difference(pixels, _pillow(data)) <= 2  # two JPEG decoders
        assert pixels.flags.c_contiguous

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiled"])
    def test_the_tag_of_tiff_is_applied_once(self, compression: str, orientation: int) -> None:
        """OpenCV would turn it by itself, and tiled files wrongly."""
        if compression == "tiled":
            data = _tiled(NOISE[..., :3], orientation)
        else:
            data = _saved(RGB, "TIFF", tiffinfo={274: orientation}, compression=compression)
        pixels = _pixels(data)

        np.testing.assert_array_equal(pixels, _pillow(data))
        assert pixels.flags.c_contiguous


def _tiled(stored: NDArray[np.uint8], orientation: int) -> bytes:
    """Return a TIFF file of tiles of 32 x 32 pixels, which Pillow can read but not write."""
    height, width, samples = stored.shape
    across, down = -(-width // 32), -(-height // 32)
    padded = np.zeros((down * 32, across * 32, samples), np.uint8)
    padded[:height, :width] = stored
    tiles = padded.reshape(down, 32, across, 32, samples).swapaxes(1, 2).tobytes()
    count, size = across * down, 32 * 32 * samples
    at = 8 + len(tiles)
    lists = struct.pack(f"<{2 * count}I", *(8 + size * i for i in range(count)), *([size] * count))
    lists += struct.pack("<3H", 8, 8, 8)
    tags = [
        (256, 1, width),
        (257, 1, height),
        (258, 3, at + 8 * count),
        (259, 1, 1),
        (262, 1, 2),
        (274, 1, orientation),
    ]
    tags += [(277, 1, samples), (284, 1, 1), (322, 1, 32), (323, 1, 32), (324, count, at), (325, count, at + 4 * count)]
    entries = b"".join(struct.pack("<HHII", tag, 3 if tag < 324 else 4, n, value) for tag, n, value in tags)
    start = at + len(lists)
    return b"II*\0" + struct.pack("<I", start) + tiles + lists + struct.pack("<H", len(tags)) + entries + bytes(4)


class TestColours:
    @pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
    @pytest.mark.parametrize("mode", ["RGB", "L", "1", "P"])
    def test_lossless_files_equal_pillow(self, file_format: str, mode: str) -> None:
        data = _saved(RGB.quantize(77) if mode == "P" else RGB.convert(mode), file_format)

        np.testing.assert_array_equal(_pixels(data), _pillow(data))

    def test_grey_is_copied_to_three_channels(self) -> None:
        grey = NOISE[..., 0]

        np.testing.assert_array_equal(_pixels(_saved(Image.fromarray(grey), "PNG")), np.dstack([grey] * 3))

    @pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
    def test_alpha_is_dropped_and_the_colour_below_it_kept(self, file_format: str) -> None:
        options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}

        np.testing.assert_array_equal(_pixels(_saved(RGBA, file_format, **options)), NOISE[..., :3])

    @pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
    def test_alpha_of_grey_is_dropped(self, file_format: str) -> None:
        picture = Image.merge("LA", [Image.fromarray(NOISE[..., 0].copy()), Image.fromarray(NOISE[..., 3].copy())])

        np.testing.assert_array_equal(_pixels(_saved(picture, file_format))[..., 1], NOISE[..., 0])

    def test_transparent_palette_entries_keep_their_colour(self) -> None:
        data = _saved(RGB.quantize(16), "PNG", transparency=3)

        np.testing.assert_array_equal(_pixels(data), _pillow(data))

    @pytest.mark.parametrize("extension", [".png", ".tiff"])
    @pytest.mark.parametrize("channels", [3, 4])
    def test_of_16_bits_the_high_byte_is_kept(self, extension: str, channels: int) -> None:
        wide = np.random.default_rng(1).integers(0, 65536, (37, 61, channels), np.uint16)
        data = cv2.imencode(extension, wide)[1].tobytes()

        np.testing.assert_array_equal(_pixels(data), (wide[..., 2::-1] >> 8).astype(np.uint8))

    @pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
    def test_of_16_bits_of_grey_the_high_byte_is_kept(self, file_format: str) -> None:
        wide = np.random.default_rng(1).integers(0, 65536, (37, 61), np.uint16)

        np.testing.assert_array_equal(_pixels(_saved(Image.fromarray(wide), file_format))[..., 2], wide >> 8)

    @pytest.mark.parametrize("transform", [0, 2], ids=["CMYK", "YCCK"])
    def test_jpeg_of_printing_colours_is_close_to_pillow(self, transform: int) -> None:
        data = _saved(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG", quality=95)
        marker = data.index(b"Adobe") + 11
        data = data[:marker] + bytes([transform]) + data[marker + 1 :]

        assert _difference(_pixels(data), _pillow(data)) <= 2  # each rounds the product of ink and black its own way

    def test_tiff_of_printing_colours_is_close_to_pillow(self) -> None:
        data = _saved(RGB.convert("CMYK"), "TIFF")

        assert _difference(_pixels(data), _pillow(data)) <= 2

    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}])
    def test_jpeg_is_close_to_pillow(self, options: dict[str, object]) -> None:
        data = _saved(Image.fromarray(SMOOTH), "JPEG", **options)

        assert _difference(_pixels(data), _pillow(data)) <= 3  # the inverse transform is free to round

    def test_webp_is_close_to_pillow(self) -> None:
        data = _saved(Image.fromarray(SMOOTH), "WEBP", quality=80)

        assert _difference(_pixels(data), _pillow(data)) <= 3  # versions of the decoder differ in upsampling

    @pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
    def test_compressed_tiff_is_close_to_pillow(self, compression: str) -> None:
        data = _saved(Image.fromarray(SMOOTH), "TIFF", compression=compression)

        assert _difference(_pixels(data), _pillow(data)) <= (3 if compression == "jpeg" else 0)

    @pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
    def test_fax_equals_pillow(self, compression: str) -> None:
        data = _saved(RGB.convert("1"), "TIFF", compression=compression)

        np.testing.assert_array_equal(_pixels(data), _pillow(data))

    @pytest.mark.parametrize("mode", ["F", "I"])
    def test_tiff_of_32_bits_is_refused(self, mode: str) -> None:
        with pytest.raises(InvalidImage, match="are read"):
            open_picture(_saved(RGB.convert("L").convert(mode), "TIFF"), LIMITS)

    @pytest.mark.parametrize("bits", [(0x7C00, 0x3E0, 0x1F), (0xF800, 0x7E0, 0x1F)], ids=["555", "565"])
    def test_bitmaps_of_16_bits_are_close_to_pillow(self, bits: tuple[int, int, int]) -> None:
        head = struct.pack("<IiiHHIIIIII3I", 40, 60, 37, 1, 16, 3, 0, 0, 0, 0, 0, *bits)
        data = b"BM" + struct.pack("<III", 0, 0, 66) + head + NOISE.tobytes()[: 37 * 120]

        assert _difference(_pixels(data), _pillow(data)) <= 7  # OpenCV leaves the low bits 0, Pillow repeats the high

    @pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
    def test_the_first_of_several_pictures_is_read(self, file_format: str) -> None:
        options = {"lossless": True} if file_format == "WEBP" else {}
        data = _saved(RGB, file_format, save_all=True, append_images=[ImageOps.invert(RGB)], **options)

        np.testing.assert_array_equal(_pixels(data), NOISE[..., :3])

    def test_the_still_picture_of_an_animated_png_is_read(self) -> None:
        """It may be none of the animation; OpenCV alone would take the animation's first frame."""
        others = [ImageOps.invert(RGB), ImageOps.mirror(RGB)]
        data = _saved(RGB, "PNG", save_all=True, default_image=True, append_images=others)

        np.testing.assert_array_equal(_pixels(data), NOISE[..., :3])


class TestRaw:
    def test_rgb_is_a_view_of_the_bytes(self) -> None:
        pixels = raw_picture(NOISE[..., :3].tobytes(), 37, 61, "rgb", LIMITS).pixels()

        np.testing.assert_array_equal(pixels, NOISE[..., :3])
        assert not pixels.flags.owndata

    def test_bgr_is_turned_to_rgb(self) -> None:
        pixels = raw_picture(NOISE[..., 2::-1].tobytes(), 37, 61, "bgr", LIMITS).pixels()

        np.testing.assert_array_equal(pixels, NOISE[..., :3])
        assert pixels.flags.c_contiguous

    def test_grey_is_copied_to_three_channels(self) -> None:
        pixels = raw_picture(NOISE[..., 0].tobytes(), 37, 61, "gray", LIMITS).pixels()

        np.testing.assert_array_equal(pixels, np.dstack([NOISE[..., 0]] * 3))

    def test_it_is_upright_and_has_no_format(self) -> None:
        picture = raw_picture(bytes(6), 1, 2, "rgb", LIMITS)

        assert picture.info == PictureInfo(2, 1, 1, False, None)
        assert picture.byte_count == 6

    @pytest.mark.parametrize("byte_count", [0, 17, 19])
    def test_another_number_of_bytes_is_refused(self, byte_count: int) -> None:
        with pytest.raises(InvalidImage, match=rf"image\.raw\.pixels: {byte_count} bytes, where 2 x 3 .* are 18"):
            raw_picture(bytes(byte_count), 2, 3, "rgb", LIMITS)

    @pytest.mark.parametrize(("height", "width"), [(0, 3), (3, 0), (-1, -18), (-2, 3)])
    def test_a_side_below_one_is_refused(self, height: int, width: int) -> None:
        with pytest.raises(InvalidImage, match="at least 1"):
            raw_picture(bytes(18), height, width, "rgb", LIMITS)

    def test_limits_hold(self) -> None:
        with pytest.raises(ImageTooLarge, match="7 bytes"):
            raw_picture(bytes(7), 1, 7, "gray", PictureLimits(max_bytes=6))
        with pytest.raises(ImageTooLarge, match="7 x 1 pixels"):
            raw_picture(bytes(7), 1, 7, "gray", PictureLimits(max_pixels=6))

    def test_an_unknown_pixel_format_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match=r"raw\.pixel_format: 'yuv' is none of"):
            raw_picture(bytes(6), 1, 2, "yuv", LIMITS, field="raw")  # type: ignore[arg-type]


def test_opencv_uses_one_thread() -> None:
    assert cv2.getNumThreads() == 1


def test_a_picture_shows_no_pixels_in_a_log() -> None:
    raw = raw_picture(b"secret", 1, 2, "rgb", LIMITS)

    assert "secret" not in repr(raw)
    assert len(repr(open_picture(FILES["png"], LIMITS))) < 500
