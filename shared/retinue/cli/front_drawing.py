"""Answers per second against latency, drawn: every setup that was measured, and the front of those that none beats."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.client.drawing_pixels import filled
from retinue.client.lettering import Colour, Lettering
from retinue.client.palette import BLACK, class_colour
from retinue.runtime.setup import Setup
from retinue.runtime.tuning.tuner import Tuned
from retinue.runtime.tuning_file import Figures

_WIDTH, _HEIGHT = 1280, 760
_LEFT, _TOP, _SIDE_X, _SIDE_Y = 100, 70, 800, 590  # of the field
_LEGEND = 930
_LINE = 30
_PAPER: Colour = (255, 255, 255)
_INK: Colour = (31, 36, 48)
_FAINT: Colour = (112, 120, 134)
_GRID: Colour = (226, 229, 234)
_WINE: Colour = (136, 34, 85)
_STEPS = (1, 2, 5)


def draw_front(found: Tuned, default: Setup, *, title: str, slo_ms: float) -> NDArray[np.uint8]:
    """Return a chart of what was measured: 99th percentile to the right, on a logarithmic scale, answers upwards.

    Dots are setups at the load of the search, the small ones measured briefly; colours tell the provider and how many
    workers of how many threads. Lines are the proof, from few callers to many: the default's, and the chosen one's.

    Args:
        found: at least one setup was measured.
        default: the setup that the others are compared with.
        title: of the chart.
        slo_ms: drawn as an upright line.

    Returns:
        uint8 [760, 1280, 3], RGB.
    """
    canvas = filled(_HEIGHT, _WIDTH, _PAPER)
    axes = _Axes([*(one.result for one in found.trials), *found.figures, *found.default], slo_ms)
    Lettering(1.1, is_bold=True).write_line(canvas[16:50, _LEFT : _WIDTH - 16], title, colour=_INK, margin=0)
    axes.draw(canvas)
    _draw_slo(canvas, axes, slo_ms)
    kinds = sorted({_kind(one.candidate) for one in found.trials})
    last = max((one.round for one in found.trials), default=0)
    for one in sorted(found.trials, key=lambda one: one.round):
        radius = 4 + 3 * (one.round == last)
        cv2.circle(
            canvas, axes.place(one.result), radius, class_colour(kinds.index(_kind(one.candidate))), -1, cv2.LINE_AA
        )
    _curve(canvas, axes, found.default, BLACK)
    if found.best != default:
        _curve(canvas, axes, found.figures, _WINE)
    _legend(canvas, kinds, found, default)
    return canvas


def _curve(canvas: NDArray[np.uint8], axes: "_Axes", figures: Sequence[Figures], colour: Colour) -> None:
    """Draw a setup at each load, and write the load beside it."""
    places = [axes.place(one) for one in figures]
    cv2.polylines(canvas, [np.array(places, np.int32)], False, colour, 2, cv2.LINE_AA)
    lettering = Lettering(0.85)
    for (x, y), one in zip(places, figures, strict=True):
        cv2.circle(canvas, (x, y), 5, colour, -1, cv2.LINE_AA)
        lettering.write_line(canvas[y - 26 : y - 6, x + 4 : x + 64], str(one.in_flight), colour=colour, margin=0)


class _Axes:
    """Where figures lie on the canvas."""

    def __init__(self, figures: Sequence[Figures], slo_ms: float) -> None:
        late = [max(one.p99_ms, 1e-3) for one in figures] + [slo_ms]
        self._least, self._most = math.log10(min(late)) - 0.1, math.log10(max(late)) + 0.1
        self._top = max(1e-3, *(one.answers_per_s for one in figures)) * 1.08

    def place(self, figures: Figures) -> tuple[int, int]:
        return self.x(figures.p99_ms), self.y(figures.answers_per_s)

    def x(self, ms: float) -> int:
        share = (math.log10(max(ms, 1e-3)) - self._least) / (self._most - self._least)
        return round(_LEFT + share * _SIDE_X)

    def y(self, answers_per_s: float) -> int:
        return round(_TOP + (1 - answers_per_s / self._top) * _SIDE_Y)

    def draw(self, canvas: NDArray[np.uint8]) -> None:
        lettering = Lettering(1.0)
        decades = range(math.floor(self._least), math.ceil(self._most) + 1)
        for ms in (step * 10.0**decade for decade in decades for step in _STEPS):
            if self._least <= math.log10(ms) <= self._most:
                x, text = self.x(ms), f"{ms:g}"
                cv2.line(canvas, (x, _TOP), (x, _TOP + _SIDE_Y), _GRID)
                bottom = _TOP + _SIDE_Y + 8
                start = x - lettering.width(text) // 2
                lettering.write_line(canvas[bottom : bottom + 24, start:], text, colour=_INK, margin=0)
        raw = self._top / 6
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
        for number in range(int(self._top / step) + 1):
            y = self.y(number * step)
            cv2.line(canvas, (_LEFT, y), (_LEFT + _SIDE_X, y), _GRID)
            lettering.write_line(canvas[y - 12 : y + 12, : _LEFT - 8], "", f"{number * step:g}", colour=_INK, margin=0)
        cv2.rectangle(canvas, (_LEFT, _TOP), (_LEFT + _SIDE_X, _TOP + _SIDE_Y), _INK)
        name = "99th percentile, ms"
        start = _LEFT + (_SIDE_X - lettering.width(name)) // 2
        bottom = _TOP + _SIDE_Y + 38
        lettering.write_line(canvas[bottom : bottom + 24, start:], name, colour=_INK, margin=0)
        upright = filled(24, lettering.width("answers/s") + 2, _PAPER)
        lettering.write_line(upright, "answers/s", colour=_INK, margin=0)
        turned = np.rot90(upright)
        top = _TOP + (_SIDE_Y - turned.shape[0]) // 2
        canvas[top : top + turned.shape[0], 8:32] = turned


def _draw_slo(canvas: NDArray[np.uint8], axes: _Axes, slo_ms: float) -> None:
    x = axes.x(slo_ms)
    for top in range(_TOP, _TOP + _SIDE_Y, 12):
        cv2.line(canvas, (x, top), (x, min(top + 6, _TOP + _SIDE_Y)), _WINE, 1)
    lettering = Lettering(0.85)
    text = f"{slo_ms:g} ms"
    lettering.write_line(canvas[_TOP - 22 : _TOP - 2, x - lettering.width(text) // 2 :], text, colour=_WINE, margin=0)


def _legend(canvas: NDArray[np.uint8], kinds: Sequence[str], found: Tuned, default: Setup) -> None:
    lettering, top = Lettering(0.9), _TOP

    def line(text: str) -> int:
        nonlocal top
        lettering.write_line(canvas[top : top + _LINE, _LEGEND + 30 : _WIDTH - 10], text, colour=_INK, margin=0)
        top += _LINE
        return top - _LINE // 2

    for number, kind in enumerate(kinds):
        cv2.circle(canvas, (_LEGEND + 12, line(kind)), 7, class_colour(number), -1, cv2.LINE_AA)
    line("")
    for text, colour in [
        (f"default, batches of {default.max_batch_size}", BLACK),
        *([(f"best, batches of {found.best.max_batch_size}", _WINE)] if found.best != default else []),
    ]:
        middle = line(text)
        cv2.line(canvas, (_LEGEND, middle), (_LEGEND + 24, middle), colour, 3, cv2.LINE_AA)
    mine, other = found.pair
    times = mine.answers_per_s / max(other.answers_per_s, 1e-9)
    line("nothing was proved to be better" if found.best == default else f"{times:.2f} times the default")
    line("numbers beside lines: in flight")
    line(f"dots: {found.in_flight} in flight")


def _kind(setup: Setup) -> str:
    sessions = "" if setup.is_session_shared else ", own"
    return f"{setup.providers[0]}, {setup.workers} x {setup.threads}{sessions}"
