"""The facts that a file's header gives: the same record for every format."""

from enum import StrEnum
from typing import NamedTuple


class PictureFormat(StrEnum):
    """File formats that are read."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    BMP = "bmp"
    TIFF = "tiff"


class PictureHeader(NamedTuple):
    """A picture file before decoding.

    A named tuple and no dataclass: one is made for every request, and this is the cheapest record.
    """

    format: PictureFormat
    width: int
    """Columns as stored, before orientation is applied; not checked yet, 0 is possible."""
    height: int
    """Rows as stored, before orientation is applied; not checked yet, 0 is possible."""
    exif_orientation: int = 1
    """1 to 8; 1 (upright) where the file has none or an invalid one."""
    patches: tuple[tuple[int, bytes], ...] = ()
    """Bytes to put at these offsets of a copy before it is decoded: what the decoder would act on but should not."""
    has_wide_samples: bool = False
    """Whether it must be decoded to 16 bits, of which the high byte is kept."""
