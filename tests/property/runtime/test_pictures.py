"""Laws of pictures: whatever is saved is seen as Pillow sees it; whatever else comes is refused, never worse."""

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from retinue.runtime.classification_manifest import InputPolicy
from retinue.runtime.errors import ImageTooLarge, InvalidImage
from retinue.runtime.picture import PictureLimits, open_picture
from retinue.runtime.resize import fit_into

LIMITS = PictureLimits(max_pixels=2_000_000)
MODES = {
    "JPEG": ["RGB", "L", "CMYK"],
    "PNG": ["RGB", "L", "1", "P", "RGBA", "LA"],
    "WEBP": ["RGB", "RGBA"],
    "BMP": ["RGB", "L", "1", "P"],
    "TIFF": ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK"],
}
# JPEG: the inverse transform and the upsampling are free to round; CMYK: so is the product of ink and black.
TOLERANCES = {("JPEG", "RGB"): 3, ("JPEG", "L"): 1, ("JPEG", "CMYK"): 4, ("TIFF", "CMYK"): 2}


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, int]:
    """A picture file with an orientation where its format carries one, and how far decoders may differ on it."""
    file_format = draw(st.sampled_from(sorted(MODES)))
    mode = draw(st.sampled_from(MODES[file_format]))
    height, width = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    seed = draw(st.integers(0, 2**32 - 1))
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    picture = Image.fromarray(noise)
    if mode in {"RGBA", "LA"}:
        picture.putalpha(Image.fromarray(noise[..., 1].copy()))
    picture = picture.convert(mode)
    options: dict[str, object] = {}
    orientation = draw(st.integers(0, 9))
    if file_format == "TIFF":
        options = {
            # Pillow writes no invalid orientation into a compressed TIFF
            "tiffinfo": {274: min(max(1, orientation), 8)},
            "compression": draw(st.sampled_from(["raw", "tiff_lzw", "packbits"])),
        }
    elif file_format != "BMP":
        exif = Image.Exif()
        exif[271], exif[274] = "maker", orientation
        options["exif"] = exif
    if file_format == "JPEG":
        options |= {"quality": draw(st.integers(20, 100)), "progressive": draw(st.booleans())}
        options["subsampling"] = draw(st.integers(0, 2))
    if file_format == "WEBP":
        options |= {"lossless": True, "exact": True}
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue(), TOLERANCES.get((file_format, mode), 0)


def _pillow(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


@given(files())
def test_every_file_is_seen_as_pillow_sees_it(file: tuple[bytes, int]) -> None:
    data, tolerance = file
    picture = open_picture(data, LIMITS)
    pixels, expected = picture.pixels(), _pillow(data)
    with Image.open(io.BytesIO(data)) as opened:
        orientation = opened.getexif().get(274, 1)

    assert (picture.info.height, picture.info.width, 3) == pixels.shape == expected.shape
    assert picture.info.exif_orientation == (orientation if 1 <= orientation <= 8 else 1)
    assert np.abs(pixels.astype(int) - expected).max() <= tolerance
    assert pixels.flags.c_contiguous
    assert pixels.dtype == np.uint8


def _open_and_decode(data: bytes) -> None:
    try:
        picture = open_picture(data, LIMITS)
        pixels = picture.pixels()
    except (InvalidImage, ImageTooLarge) as error:
        assert error.field == "image.encoded"  # noqa: PT017 - either outcome is right, each in its own way
    else:
        assert pixels.shape == (picture.info.height, picture.info.width, 3)


MAGICS = [
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\x40\0\0\0WEBP",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
]


@given(st.sampled_from(MAGICS), st.binary(max_size=300))
@settings(max_examples=300)
def test_random_bytes_are_refused(magic: bytes, rest: bytes) -> None:
    _open_and_decode(magic + rest)


@given(files(), st.data())
@settings(max_examples=300)
def test_a_damaged_file_is_decoded_or_refused(file: tuple[bytes, int], data: st.DataObject) -> None:
    damaged = bytearray(file[0])
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(damaged) - 1) | st.integers(0, min(60, len(damaged) - 1)))
        damaged[position] = data.draw(st.sampled_from([0, 1, 127, 128, 255]) | st.integers(0, 255))
    _open_and_decode(bytes(damaged))


@given(files(), st.floats(0, 0.98))
def test_a_truncated_file_is_refused(file: tuple[bytes, int], share: float) -> None:
    """Or, where the last bytes of a file are padding, the picture is the whole one."""
    data = file[0]
    try:
        pixels = open_picture(data[: int(len(data) * share)], LIMITS).pixels()
    except InvalidImage:
        return
    assert np.array_equal(pixels, open_picture(data, LIMITS).pixels())


@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    target=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    fit=st.sampled_from(["stretch", "crop", "letterbox"]),
    kernel=st.sampled_from(["bilinear", "bicubic", "area"]),
    antialias=st.booleans(),
    level=st.integers(0, 255),
)
def test_a_picture_of_one_colour_keeps_it(
    *, size: tuple[int, int], target: tuple[int, int], fit: str, kernel: str, antialias: bool, level: int
) -> None:
    short_side = max(target) + 3 if fit == "crop" else None
    policy = InputPolicy(
        height=target[0],
        width=target[1],
        fit=fit,
        short_side=short_side,
        kernel=kernel,
        antialias=antialias,
        pad_value=level,
    )
    row = np.full((*target, 3), 255 - level, np.uint8)
    fit_into(np.full((*size, 3), level, np.uint8), policy, row)

    np.testing.assert_array_equal(row, level)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1), st.sampled_from(["bilinear", "bicubic"]))
def test_fitting_a_mirrored_picture_is_mirroring_the_fitted_one(
    height: int, width: int, seed: int, kernel: str
) -> None:
    policy = InputPolicy(height=24, width=24, fit="stretch", kernel=kernel)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    row, mirrored = np.empty((24, 24, 3), np.uint8), np.empty((24, 24, 3), np.uint8)
    fit_into(pixels, policy, row)
    fit_into(pixels[:, ::-1], policy, mirrored)

    assert np.abs(row.astype(int) - mirrored[:, ::-1]).max() <= 1  # halves of a level are rounded up on both sides
