"""Pictures from the outside: known by their header when they arrive, decoded only when a worker asks for the pixels."""

import dataclasses
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.runtime.errors import ImageTooLarge, InvalidImage, InvalidInput
from retinue.runtime.header import read_header
from retinue.runtime.headers.record import PictureFormat, PictureHeader

__all__ = [
    "EncodedPicture",
    "Picture",
    "PictureFormat",
    "PictureInfo",
    "PictureLimits",
    "RawPicture",
    "open_picture",
    "raw_picture",
]

# One worker per core does the whole of a batch in one thread; OpenCV's own threads would only fight for the cores.
cv2.setNumThreads(1)
# A broken file is the caller's condition, reported as InvalidImage; it is no event of the server's standard error.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_MAX_SIDE_PX = 65535
_RGB = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
_CHANNEL_COUNTS = {"rgb": 3, "bgr": 3, "gray": 1}
# By EXIF orientation: whether rows and columns are exchanged, then which of OpenCV's flips follows, if one does.
_TURNS = {2: (False, 1), 3: (False, -1), 4: (False, 0), 5: (True, None), 6: (True, 1), 7: (True, -1), 8: (True, 0)}


@dataclasses.dataclass(frozen=True, slots=True)
class PictureLimits:
    """The largest picture that is taken; both are checked before anything is decoded."""

    max_bytes: int = 20 * 2**20
    max_pixels: int = 50_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class PictureInfo:
    """A picture as the service sees it.

    Attributes:
        width: columns of the upright picture, pixels, 1 to 65535.
        height: rows of the upright picture, pixels, 1 to 65535.
        exif_orientation: the file's, 1 to 8; 1 where it has none or an invalid one.
        is_orientation_applied: whether pixels are turned or mirrored because of it.
        format: the file's; None for raw pixels.
    """

    width: int
    height: int
    exif_orientation: int
    is_orientation_applied: bool
    format: PictureFormat | None


class Picture(Protocol):
    """A picture that is accepted, though perhaps not decoded yet."""

    @property
    def info(self) -> PictureInfo:
        """What is known of it without its pixels."""

    @property
    def byte_count(self) -> int:
        """How many bytes it came in."""

    def pixels(self) -> NDArray[np.uint8]:
        """Return the upright picture, uint8 [height, width, 3], RGB, C-contiguous, perhaps read-only.

        Raises:
            InvalidImage: it cannot be decoded.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class EncodedPicture:
    """A picture file whose header is read; made by `open_picture`."""

    info: PictureInfo
    _header: PictureHeader
    _data: bytes = dataclasses.field(repr=False)  # pixels belong in no log
    _field: str

    @property
    def byte_count(self) -> int:
        """Length of the file, bytes."""
        return len(self._data)

    def pixels(self) -> NDArray[np.uint8]:
        """Return the upright picture, uint8 [height, width, 3], RGB, C-contiguous; decoded anew by every call.

        Raises:
            InvalidImage: its compressed data is broken, or of a kind that is not read.
        """
        header = self._header
        stored = _decoded(self._data, header)
        if stored is None:
            raise InvalidImage(
                self._field, f"the {header.format.upper()} file cannot be decoded: it is damaged or of an unread kind"
            )
        if stored.shape != (header.height, header.width, 3):
            raise InvalidImage(self._field, f"the {header.format.upper()} file's header and pixels differ in size")
        return _upright(stored, header.exif_orientation)


@dataclasses.dataclass(frozen=True, slots=True)
class RawPicture:
    """A picture that came as pixels; made by `raw_picture`."""

    info: PictureInfo
    _data: bytes = dataclasses.field(repr=False)  # pixels belong in no log
    _pixel_format: Literal["rgb", "bgr", "gray"]

    @property
    def byte_count(self) -> int:
        """Length of the pixels, bytes."""
        return len(self._data)

    def pixels(self) -> NDArray[np.uint8]:
        """Return the picture, uint8 [height, width, 3], RGB, C-contiguous; for `rgb` a read-only view of the bytes."""
        shape = (self.info.height, self.info.width, _CHANNEL_COUNTS[self._pixel_format])
        stored = np.frombuffer(self._data, np.uint8).reshape(shape)
        if self._pixel_format == "rgb":
            return stored
        code = cv2.COLOR_BGR2RGB if self._pixel_format == "bgr" else cv2.COLOR_GRAY2RGB
        return np.asarray(cv2.cvtColor(stored, code), np.uint8)


def open_picture(data: bytes, limits: PictureLimits, *, field: str = "image.encoded") -> EncodedPicture:
    """Return a picture file as a picture, decoding nothing.

    Args:
        data: a JPEG, PNG, WebP, BMP or TIFF file.
        limits: the largest picture that is taken.
        field: name of the request's field, for the message.

    Raises:
        InvalidImage: the bytes are no such file, or it is truncated, broken or empty.
        ImageTooLarge: it has more bytes or pixels than `limits` allow, or a side is above 65535 pixels.
    """
    _check_byte_count(len(data), limits, field)
    try:
        header = read_header(data)
    except ValueError as error:
        raise InvalidImage(field, str(error)) from error
    _check_size(header.height, header.width, limits, field)
    orientation = header.exif_orientation
    width, height = (header.width, header.height) if orientation < 5 else (header.height, header.width)
    info = PictureInfo(width, height, orientation, orientation != 1, header.format)
    return EncodedPicture(info, header, data, field)


def raw_picture(
    pixels: bytes,
    height: int,
    width: int,
    pixel_format: Literal["rgb", "bgr", "gray"],
    limits: PictureLimits,
    *,
    field: str = "image.raw",
) -> RawPicture:
    """Return pixels as a picture.

    Args:
        pixels: height * width * channels bytes, row by row, channels last; 1 channel for `gray`, 3 otherwise.
        height: rows, pixels.
        width: columns, pixels.
        pixel_format: what the bytes of a pixel are.
        limits: the largest picture that is taken.
        field: name of the request's field, for the message.

    Raises:
        InvalidInput: `pixel_format` is unknown.
        InvalidImage: there are more or fewer bytes than the size says, or a side is below 1.
        ImageTooLarge: it has more bytes or pixels than `limits` allow, or a side is above 65535 pixels.

    >>> raw_picture(bytes([7, 8]), 1, 2, "gray", PictureLimits()).pixels().tolist()
    [[[7, 7, 7], [8, 8, 8]]]
    """
    _check_byte_count(len(pixels), limits, field)
    _check_size(height, width, limits, field)
    if pixel_format not in _CHANNEL_COUNTS:
        raise InvalidInput(f"{field}.pixel_format", f"{pixel_format!r} is none of rgb, bgr and gray")
    expected = height * width * _CHANNEL_COUNTS[pixel_format]
    if len(pixels) != expected:
        raise InvalidImage(
            f"{field}.pixels", f"{len(pixels)} bytes, where {height} x {width} pixels of {pixel_format} are {expected}"
        )
    return RawPicture(PictureInfo(width, height, 1, False, None), pixels, pixel_format)


def _check_byte_count(byte_count: int, limits: PictureLimits, field: str) -> None:
    if byte_count > limits.max_bytes:
        raise ImageTooLarge(
            field,
            f"{byte_count} bytes are above the limit of {limits.max_bytes} bytes",
            limit=str(limits.max_bytes),
            actual=str(byte_count),
        )


def _check_size(height: int, width: int, limits: PictureLimits, field: str) -> None:
    """Refuse sizes in the order of what they say: no picture at all, a side, the whole."""
    if height < 1 or width < 1:
        raise InvalidImage(field, f"a picture of {width} x {height} pixels has none; each side must be at least 1")
    pixel_count, longest = height * width, max(height, width)
    if pixel_count > limits.max_pixels:
        raise ImageTooLarge(
            field,
            f"{width} x {height} pixels are above the limit of {limits.max_pixels} pixels",
            limit=str(limits.max_pixels),
            actual=str(pixel_count),
        )
    if longest > _MAX_SIDE_PX:
        raise ImageTooLarge(
            field,
            f"{width} x {height} pixels: a side is above the limit of {_MAX_SIDE_PX} pixels",
            limit=str(_MAX_SIDE_PX),
            actual=str(longest),
        )


def _decoded(data: bytes, header: PictureHeader) -> NDArray[np.uint8] | None:
    """Return the picture as stored, RGB, or None where OpenCV cannot read it."""
    source = np.frombuffer(data, np.uint8)
    if header.patches:
        source = source.copy()
        for offset, patch in header.patches:
            source[offset : offset + len(patch)] = np.frombuffer(patch, np.uint8)
    try:
        stored = cv2.imdecode(source, cv2.IMREAD_UNCHANGED if header.has_wide_samples else _RGB)
    except cv2.error:
        return None
    if stored is None:
        return None
    if header.has_wide_samples:
        if stored.dtype != np.uint16 or stored.ndim != 3:
            return None
        # The high byte, as from PNG; OpenCV's own way from 16 bits of TIFF would round to the nearest.
        high = np.right_shift(stored, 8, dtype=np.uint16).astype(np.uint8)
        stored = cv2.cvtColor(high, cv2.COLOR_BGRA2RGB if stored.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    return np.asarray(stored, np.uint8)


def _upright(stored: NDArray[np.uint8], exif_orientation: int) -> NDArray[np.uint8]:
    """Return a picture turned as its EXIF orientation says (EXIF 2.32, section 4.6.4 A)."""
    if exif_orientation == 1:
        return stored
    is_transposed, flip = _TURNS[exif_orientation]
    turned = cv2.transpose(stored) if is_transposed else stored
    return np.asarray(turned if flip is None else cv2.flip(turned, flip), np.uint8)
