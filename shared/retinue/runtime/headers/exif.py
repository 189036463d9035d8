"""The orientation tag of an EXIF block, the same in JPEG, PNG and WebP.

A block that is broken, or holds anything but 1 to 8, says nothing: pictures with bad EXIF are common and their pixels
are good, so this never fails.
"""

import struct

_PREFIX = b"Exif\0\0"
_ORIENTATION = 274
# By byte order: offset of the first directory, number of entries, an entry with a SHORT value, and a LONG value.
_ORDERS = {
    b"II*\0": (struct.Struct("<I"), struct.Struct("<H"), struct.Struct("<HHIHH"), struct.Struct("<I")),
    b"MM\0*": (struct.Struct(">I"), struct.Struct(">H"), struct.Struct(">HHIHH"), struct.Struct(">I")),
}
_SHORT, _LONG = 3, 4


def read_orientation(data: bytes, start: int, end: int) -> int:
    r"""Return the EXIF orientation of the block `data[start:end]`.

    Args:
        data: a whole file, read in place.
        start: first byte of the block: a TIFF header, or `Exif` and two zeros before it.
        end: one past its last byte; at most the length of `data`.

    Returns:
        1 to 8; 1 where the block has no orientation that is valid.

    Source:
        EXIF 2.32, sections 4.5.2 and 4.6.4 (orientation in the first directory).

    >>> entry = struct.pack("<HHIHH", 274, 3, 1, 6, 0)
    >>> block = b"II*\0" + struct.pack("<IH", 8, 1) + entry
    >>> read_orientation(block, 0, len(block)), read_orientation(block, 0, 12)
    (6, 1)
    """
    if data.startswith(_PREFIX, start, end):
        start += len(_PREFIX)
    order = _ORDERS.get(data[start : start + 4])
    if order is None or start + 8 > end:
        return 1
    offset_of_directory, count_of_entries, entry, long_value = order
    directory = start + offset_of_directory.unpack_from(data, start + 4)[0]
    if directory + 2 > end:
        return 1
    entry_count = count_of_entries.unpack_from(data, directory)[0]
    first = directory + 2
    for position in range(first, min(first + 12 * entry_count, end - 11), 12):
        tag, kind, count, value, _ = entry.unpack_from(data, position)
        if tag == _ORIENTATION:
            if kind == _LONG:
                value = long_value.unpack_from(data, position + 8)[0]
            is_valid = kind in {_SHORT, _LONG} and count == 1 and 1 <= value <= 8
            return value if is_valid else 1
    return 1
