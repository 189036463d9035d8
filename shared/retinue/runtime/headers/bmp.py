"""Windows bitmaps, with the headers of OS/2 and of Windows 3 to 98."""

import struct

from retinue.runtime.headers.record import PictureFormat, PictureHeader

_PIXELS_AND_HEADER = struct.Struct("<II")
_OLD = struct.Struct("<HHHH")
_NEW = struct.Struct("<iiHHI")
_MASKS = struct.Struct("<III")
_PLAIN, _RUNS_8, _RUNS_4, _MASKED = range(4)
# Bits a pixel that each way of storing pixels goes with.
_DEPTHS = {_PLAIN: {1, 4, 8, 16, 24, 32}, _RUNS_8: {8}, _RUNS_4: {4}, _MASKED: {16, 32}}
# Other orders of the colours within a pixel are legal but never written, and the decoder would mix them up.
_USUAL_MASKS = {
    16: {(0xF800, 0x07E0, 0x001F), (0x7C00, 0x03E0, 0x001F)},
    32: {(0xFF0000, 0x00FF00, 0x0000FF)},
}


def read_bmp(data: bytes) -> PictureHeader:
    """Return the header of a bitmap.

    Args:
        data: the whole file, starting with `BM`.

    Raises:
        ValueError: the header is of no known kind, the way pixels are stored is none that is read, the pixels start
            inside the header, or uncompressed pixels reach beyond the file.
        struct.error: it ends inside its header.

    Notes:
        Run-length encoded pixels have no length that could be checked here; their decoder notices a missing end.

    Source:
        Microsoft, "Bitmap Storage" (Windows GDI).
    """
    start, header_size = _PIXELS_AND_HEADER.unpack_from(data, 10)
    if header_size == 12:
        width, height, _, bits = _OLD.unpack_from(data, 18)
        storage = _PLAIN
    elif header_size in {40, 52, 56, 64, 108, 124}:
        width, height, _, bits, storage = _NEW.unpack_from(data, 18)
    else:
        raise ValueError(f"the BMP file has a header of {header_size} bytes, which is of no known kind")
    if bits not in _DEPTHS.get(storage, ()):
        raise ValueError(f"the BMP file has {bits} bits a pixel in storage {storage}, which is not read")
    if storage == _MASKED and _MASKS.unpack_from(data, 54) not in _USUAL_MASKS[bits]:
        raise ValueError("the BMP file has an unusual order of colours within a pixel, which is not read")
    if start < 14 + header_size:
        raise ValueError("the BMP file says that its pixels start inside its header")
    height = abs(height)  # negative: the top row comes first
    row_bytes = (width * bits + 31) // 32 * 4
    if storage in {_PLAIN, _MASKED} and width > 0 and start + row_bytes * height > len(data):
        raise ValueError("the BMP file is truncated: its pixels reach beyond its end")
    return PictureHeader(PictureFormat.BMP, max(width, 0), height)
