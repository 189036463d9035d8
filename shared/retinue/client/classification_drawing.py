"""Answers drawn for people: the picture with a panel of labels under it."""

import math

import numpy as np
from numpy.typing import NDArray

from retinue.client.classification_answer import Classification, ScoredLabel
from retinue.client.drawing_pixels import checked_rgb, filled, resized
from retinue.client.lettering import Colour, Lettering

MIN_WIDTH_PX = 320
MAX_SIDE_PX = 1600
MAX_ROWS = 10

_PAPER: Colour = (255, 255, 255)
_INK: Colour = (31, 36, 48)
_FAINT: Colour = (112, 120, 134)
_TRACK: Colour = (241, 243, 246)
_BEST: Colour = (147, 197, 253)
_OTHER: Colour = (219, 234, 254)
_DOUBTED: Colour = (222, 226, 232)
_WARNING: Colour = (194, 65, 12)

# Sizes at a canvas width of `_UNIT_WIDTH_PX` and below; they grow with the canvas.
_UNIT_WIDTH_PX = 480
_MARGIN = 12
_LINE = 24
_ROW = 28
_GAP = 4
_BANNER = 36


def draw_classification(pixels_rgb: NDArray[np.uint8], classification: Classification) -> NDArray[np.uint8]:
    """Return the picture with a panel under it: labels and bars for their scores, and a band where it is unknown.

    A small picture is enlarged to a width of 320 pixels and a large one reduced to sides of 1600. At most ten labels
    are drawn; characters outside ASCII become question marks.

    Args:
        pixels_rgb: uint8 [height, width, 3], RGB, upright; grey [height, width] is taken too.
        classification: the answer for it.

    Returns:
        uint8 [panel height + picture height, width, 3], RGB; the input is not changed.

    Raises:
        ValueError: the pixels have another shape or dtype, or there are none.
    """
    picture = _fitted(checked_rgb(pixels_rgb))
    width = picture.shape[1]
    unit = max(1.0, width / _UNIT_WIDTH_PX)
    parts = [picture]
    if classification.is_unknown:
        parts.append(_banner(classification, width, unit))
    parts.append(_panel(classification, width, unit))
    return np.concatenate(parts)


def _fitted(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture scaled to a readable size, on paper where it is too narrow even so."""
    height, width = pixels.shape[:2]
    scale = min(max(1.0, MIN_WIDTH_PX / width), MAX_SIDE_PX / max(height, width))
    pixels = resized(pixels, (max(1, round(width * scale)), max(1, round(height * scale))))
    missing = max(0, MIN_WIDTH_PX - pixels.shape[1])
    return np.pad(pixels, ((0, 0), (missing // 2, missing - missing // 2), (0, 0)), constant_values=_TRACK[0])


def _banner(classification: Classification, width: int, unit: float) -> NDArray[np.uint8]:
    banner = filled(round(_BANNER * unit), width, _WARNING)
    score = "" if classification.unknown_score is None else f"score {classification.unknown_score:.3f}"
    Lettering(unit, is_bold=True).write_line(banner, "UNKNOWN", score, colour=_PAPER, margin=round(_MARGIN * unit))
    return banner


def _panel(classification: Classification, width: int, unit: float) -> NDArray[np.uint8]:
    shown = classification.labels[:MAX_ROWS]
    more_count = len(classification.labels) - len(shown)
    note = "no label above the threshold" if not shown else f"and {more_count} more" if more_count else ""
    margin, line, row, gap = (round(size * unit) for size in (_MARGIN, _LINE, _ROW, _GAP))
    height = margin + len(shown) * (row + gap) + (line if note else 0) + line + margin // 2
    panel = filled(height, width, _PAPER)
    top = margin
    for index, scored in enumerate(shown):
        colour = _DOUBTED if classification.is_unknown else _BEST if index == 0 else _OTHER
        is_bold = index == 0 and not classification.is_unknown
        _draw_row(panel[top : top + row], scored, colour, Lettering(unit, is_bold=is_bold))
        top += row + gap
    small = Lettering(unit * 0.85)
    if note:
        small.write_line(panel[top : top + line], note, colour=_FAINT, margin=margin)
        top += line
    model = f"{classification.model_name}@{classification.model_version}"
    time_spent = f"{classification.timings.total_s * 1e3:.1f} ms"
    small.write_line(panel[top : top + line], model, time_spent, colour=_FAINT, margin=margin)
    return panel


def _draw_row(row: NDArray[np.uint8], scored: ScoredLabel, colour: Colour, lettering: Lettering) -> None:
    """Draw one label into its strip: the bar behind, the name on the left, the score on the right."""
    margin = round(_MARGIN * lettering.size)
    track = row[:, margin // 2 : row.shape[1] - margin // 2]
    track[:] = _TRACK
    share = min(1.0, max(0.0, scored.score)) if math.isfinite(scored.score) else 0.0
    track[:, : round(track.shape[1] * share)] = colour
    lettering.write_line(row, scored.label.name, f"{scored.score:.1%}", colour=_INK, margin=margin)
