"""A strip under a picture that says which colour is which class, and how many of each there are."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinue.client.detection_answer import DetectionAnswer
from retinue.client.drawing_pixels import filled
from retinue.client.lettering import Colour, Lettering
from retinue.client.palette import class_colour

MAX_ROWS = 4

_PAPER: Colour = (255, 255, 255)
_INK: Colour = (31, 36, 48)
_FAINT: Colour = (112, 120, 134)

# Sizes at a unit of 1.
_MARGIN = 12
_LINE = 24
_SWATCH = 14
_GAP = 8
_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class _Entry:
    """One class: where its swatch and its text go; ``class_id`` None for a text that stands for the rest."""

    class_id: int | None
    text: str
    row: int
    left: int


def legend(answer: DetectionAnswer, width: int, unit: float, unnamed_count: int = 0) -> NDArray[np.uint8]:
    """Return a strip with each class that was found, its colour and its count, and with the model and its time.

    Args:
        answer: at most four lines of its classes are shown, the most frequent first.
        width: of the strip, pixels.
        unit: 1 for lines of 24 pixels, 2 for twice that.
        unnamed_count: boxes that had no room for their name.

    Returns:
        uint8 [legend height, width, 3], RGB.
    """
    margin, line, swatch, gap = (round(size * unit) for size in (_MARGIN, _LINE, _SWATCH, _GAP))
    lettering, small = Lettering(unit), Lettering(unit * 0.85)
    counts = Counter((one.label_id, one.label) for one in answer.detections)
    entries = list(_flow(counts.most_common(), width, unit)) or [_Entry(None, "nothing found", 0, margin)]
    row_count = entries[-1].row + 1
    strip = filled(margin // 2 + (row_count + 1) * line + margin // 2, width, _PAPER)
    for entry in entries:
        top, left = margin // 2 + entry.row * line, entry.left
        if entry.class_id is not None:
            middle = top + (line - swatch) // 2
            strip[middle : middle + swatch, left : left + swatch] = class_colour(entry.class_id)
            left += swatch + gap
        lettering.write_line(strip[top : top + line, left:], entry.text, colour=_INK, margin=0)
    top = margin // 2 + row_count * line
    model = f"{answer.model_name}@{answer.model_version}"
    unnamed = f"{unnamed_count} without room for a name; " if unnamed_count else ""
    total = f"{unnamed}{answer.timings.total_s * 1e3:.1f} ms"
    small.write_line(strip[top : top + line], model, total, colour=_FAINT, margin=margin)
    return strip


def _flow(counts: Iterable[tuple[tuple[int, str], int]], width: int, unit: float) -> Iterable[_Entry]:
    """Yield the entries, line by line; the last one may stand for those that have no room."""
    margin, swatch, gap = (round(size * unit) for size in (_MARGIN, _SWATCH, _GAP))
    lettering = Lettering(unit)
    counts = list(counts)
    row, left = 0, margin
    for index, ((class_id, label), count) in enumerate(counts):
        suffix = f" {count}"
        room = min(round(_MAX_NAME * unit), width - 2 * margin - swatch - gap - lettering.width(suffix))
        text = lettering.shortened(label, room) + suffix
        needed = swatch + gap + lettering.width(text)
        rest = f"and {len(counts) - index} more"
        if left > margin and left + needed > width - margin and row < MAX_ROWS - 1:
            row, left = row + 1, margin
        reserved = lettering.width(rest) + 2 * gap if index < len(counts) - 1 else 0
        if row == MAX_ROWS - 1 and left + needed + reserved > width - margin:
            yield _Entry(None, rest, row, left)
            return
        yield _Entry(class_id, text, row, left)
        left += needed + 2 * gap
