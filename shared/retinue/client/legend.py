"""A strip under a picture that says which colour is which class, and how much of each there is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
class LegendEntry:
    """One class: its colour's number, its name, and how much of it there is, in words."""

    class_id: int
    label: str
    amount: str


@dataclass(frozen=True, slots=True)
class _Placed:
    """One class: where its swatch and its text go; ``class_id`` None for a text that stands for the rest."""

    class_id: int | None
    text: str
    row: int
    left: int


def legend(entries: Sequence[LegendEntry], footer: tuple[str, str], width: int, unit: float) -> NDArray[np.uint8]:
    """Return a strip with each class that was found, its colour and its amount, and with a line of small print.

    Args:
        entries: what there is most of first; at most four lines of them are shown. None: nothing was found.
        footer: what stands at the left and at the right of the small print, such as the model and its time.
        width: of the strip, pixels.
        unit: 1 for lines of 24 pixels, 2 for twice that.

    Returns:
        uint8 [legend height, width, 3], RGB.
    """
    margin, line, swatch, gap = (round(size * unit) for size in (_MARGIN, _LINE, _SWATCH, _GAP))
    lettering, small = Lettering(unit), Lettering(unit * 0.85)
    placed = list(_flow(entries, width, unit)) or [_Placed(None, "nothing found", 0, margin)]
    row_count = placed[-1].row + 1
    strip = filled(margin // 2 + (row_count + 1) * line + margin // 2, width, _PAPER)
    for entry in placed:
        top, left = margin // 2 + entry.row * line, entry.left
        if entry.class_id is not None:
            middle = top + (line - swatch) // 2
            strip[middle : middle + swatch, left : left + swatch] = class_colour(entry.class_id)
            left += swatch + gap
        lettering.write_line(strip[top : top + line, left:], entry.text, colour=_INK, margin=0)
    top = margin // 2 + row_count * line
    small.write_line(strip[top : top + line], *footer, colour=_FAINT, margin=margin)
    return strip


def _flow(entries: Sequence[LegendEntry], width: int, unit: float) -> Iterable[_Placed]:
    """Yield the entries, line by line; the last one may stand for those that have no room."""
    margin, swatch, gap = (round(size * unit) for size in (_MARGIN, _SWATCH, _GAP))
    lettering = Lettering(unit)
    row, left = 0, margin
    for index, entry in enumerate(entries):
        suffix = f" {entry.amount}"
        room = min(round(_MAX_NAME * unit), width - 2 * margin - swatch - gap - lettering.width(suffix))
        text = lettering.shortened(entry.label, room) + suffix
        needed = swatch + gap + lettering.width(text)
        rest = f"and {len(entries) - index} more"
        if left > margin and left + needed > width - margin and row < MAX_ROWS - 1:
            row, left = row + 1, margin
        reserved = lettering.width(rest) + 2 * gap if index < len(entries) - 1 else 0
        if row == MAX_ROWS - 1 and left + needed + reserved > width - margin:
            yield _Placed(None, rest, row, left)
            return
        yield _Placed(entry.class_id, text, row, left)
        left += needed + 2 * gap
