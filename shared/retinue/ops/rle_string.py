"""Runs as COCO writes them in JSON: a string of printable characters."""

import numpy as np
from numpy.typing import NDArray

from retinue.ops._kernel import kernel
from retinue.ops.rle import Rle, canvas_sizes, checked, trusted

_LONGEST = 7  # characters of 5 bits that a run, or the difference of two, can take
_FAULTS = {
    -1: "must be characters from '0' to 'o'",
    -2: "ends within a number",
    -3: f"must hold numbers of at most {_LONGEST} characters",
    -4: "must hold runs of 0 pixels or more, which sum to no more than the mask has",
    -5: "must hold runs that sum to the pixels of the mask, not to fewer",
}


def rle_to_string(rle: Rle) -> bytes:
    """Return the compressed string that COCO keeps a mask as, its ``counts``.

    Args:
        rle: the mask.

    Returns:
        ASCII characters from ``0`` to ``o``, one to 7 for each run.

    Raises:
        ValueError: `rle` is no `Rle`.

    Notes:
        Each mask has one string, the one that pycocotools writes.

    Source:
        COCO's mask API: from the fourth run on the difference to the run two before, in groups of 5 bits, least first,
        the sixth saying that more follow, plus 48.

    >>> rle_to_string(Rle(3, 4, np.array([4, 1, 2, 1, 4])))
    b'41202'
    """
    return _written(checked(rle, "rle").counts).tobytes()


def rle_from_string(counts: bytes | str, height: int, width: int) -> Rle:
    """Return the mask that a compressed string of COCO stands for.

    Args:
        counts: the string; str as in JSON, or bytes as in pycocotools.
        height: of the mask in pixels.
        width: of the mask in pixels.

    Returns:
        The mask.

    Raises:
        ValueError: the string holds another character, ends within a number, has a run that is negative or longer than
            the mask, or runs that do not sum to its pixels; or a size is out of range.

    Notes:
        pycocotools trusts such strings, and writes beyond its memory. Here any input is either a mask or an error. What
        it costs is bounded by the length of the string, never by the sizes.

    >>> rle_from_string("04", 2, 2)
    Rle(height=2, width=2, counts=array([0, 4], dtype=uint32))
    """
    height, width = canvas_sizes(height, width)
    if isinstance(counts, str):
        if not counts.isascii():
            raise ValueError(f"counts: {_FAULTS[-1]}")
        counts = counts.encode()
    if not isinstance(counts, bytes | bytearray | memoryview):
        raise ValueError(  # noqa: TRY004, ops raise ValueError
            f"counts: must be bytes or str, got {type(counts).__name__}"
        )
    runs, fault = _read(np.frombuffer(bytes(counts), np.uint8), height * width)
    if fault < 0:
        raise ValueError(f"counts: {_FAULTS[fault]}")
    return Rle(height, width, runs) if fault else trusted(height, width, runs)


@kernel("(Array(u4, 1, 'C', readonly=True),)")
def _written(runs: NDArray[np.uint32]) -> NDArray[np.uint8]:
    text = np.empty(runs.size * _LONGEST, np.uint8)
    used = 0
    for i in range(runs.size):
        value = runs[i] - (runs[i - 2] if i > 2 else 0)
        while True:
            bits = value & 31
            value >>= 5  # keeps the sign, so that a negative number ends in ones
            is_last = value == (-1 if bits & 16 else 0)
            text[used] = 48 + bits + (0 if is_last else 32)
            used += 1
            if is_last:
                break
    return text[:used].copy()


@kernel("(Array(u1, 1, 'C', readonly=True), i8)")
def _read(text: NDArray[np.uint8], total: int) -> tuple[NDArray[np.uint32], int]:
    """Return the runs, and what is wrong: a fault, 1 where empty runs are to be joined, otherwise 0."""
    runs = np.empty(text.size, np.uint32)
    for character in text:
        if character < 48 or character > 111:
            return runs, -1
    used, claimed, value, length, is_sound = 0, 0, 0, 0, True
    last, before = 0, 0  # the run just read, and the one before it
    for character in text:
        if length == 5 * _LONGEST:
            return runs, -3
        bits = character - 48
        value |= (bits & 31) << length
        length += 5
        if bits & 32:
            continue
        value += (before if used > 2 else 0) - ((bits & 16) << (length - 4))  # the highest bit is the sign
        claimed += value
        if value < 0 or claimed > total:
            return runs, -4
        is_sound &= used == 0 or value > 0
        runs[used] = value
        used += 1
        last, before = value, last
        value, length = 0, 0
    if length or claimed != total:
        return runs, -2 if length else -5
    return runs[:used].copy(), 0 if is_sound and used else 1
