"""From the bytes of a picture file to its header: no pixel is decoded, no byte is copied."""

import struct

from retinue.runtime.headers.bmp import read_bmp
from retinue.runtime.headers.jpeg import read_jpeg
from retinue.runtime.headers.png import read_png
from retinue.runtime.headers.record import PictureHeader
from retinue.runtime.headers.tiff import TIFF_MAGICS, read_tiff
from retinue.runtime.headers.webp import read_webp


def read_header(data: bytes) -> PictureHeader:
    """Return what a picture file says about itself, found by its first bytes.

    The cost does not depend on the number of pixels. The sizes are the file's word: whether they are too large, or 0,
    is the caller's question.

    Args:
        data: the whole file.

    Raises:
        ValueError: it is empty, of no format that is read, truncated, or its header is broken; the message says which.

    >>> read_header(b"BM" + struct.pack("<8xIIiiHHI", 54, 40, 1, -1, 1, 24, 0) + bytes(24)).height
    1
    """
    if not data:
        raise ValueError("there are no bytes; a JPEG, PNG, WebP, BMP or TIFF file is expected")
    try:
        if data.startswith(b"\xff\xd8\xff"):
            return read_jpeg(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return read_png(data)
        if data.startswith(b"RIFF") and data.startswith(b"WEBP", 8):
            return read_webp(data)
        if data[:4] in TIFF_MAGICS:
            return read_tiff(data)
        if data.startswith(b"BM"):
            return read_bmp(data)
    except struct.error as error:
        raise ValueError("the file is truncated: it ends inside its header") from error
    raise ValueError("the bytes are no JPEG, PNG, WebP, BMP or TIFF file")
