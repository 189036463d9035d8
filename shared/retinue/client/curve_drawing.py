"""Precision against recall, drawn: all classes together at three IoUs, and the most frequent classes one by one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.client.drawing_pixels import filled
from retinue.client.evaluation_answer import ClassEvaluation, Evaluation
from retinue.client.lettering import Colour, Lettering
from retinue.client.palette import BLACK, class_colour

MAX_CLASSES = 8

_WIDTH, _HEIGHT = 1200, 760
_LEFT, _TOP, _SIDE_X, _SIDE_Y = 90, 40, 720, 620  # of the field of the curves
_LEGEND = 840
_LINE = 30
_PAPER: Colour = (255, 255, 255)
_INK: Colour = (31, 36, 48)
_FAINT: Colour = (112, 120, 134)
_WINE: Colour = (136, 34, 85)  # apart from all colours of classes
_GRID: Colour = (226, 229, 234)
_SHIFT = 4  # bits after the point of a coordinate that is drawn
_IOUS = (0.5, 0.75)


@dataclass(frozen=True, slots=True)
class _Curve:
    """One line: precision at recall 0, 0.01, … 1, and what the legend says of it."""

    precisions: NDArray[np.float64]
    colour: Colour
    thickness: int
    text: str


def draw_curves(evaluation: Evaluation) -> NDArray[np.uint8]:
    """Return a chart of precision against recall.

    Heavy lines are means over all classes that have truth: at an IoU of 0.5, of 0.75, and over all thresholds. Where
    there are several classes, light ones are the eight most frequent at an IoU of 0.5, or the least threshold there is.
    The number of each is its average precision, the area below it.

    Args:
        evaluation: with its curves; without them, or without any truth, the chart says so.

    Returns:
        uint8 [760, 1200, 3], RGB.
    """
    canvas = filled(_HEIGHT, _WIDTH, _PAPER)
    _field(canvas)
    curves = _curves(evaluation)
    for curve in curves:
        _line(canvas, curve)
    _legend(canvas, curves, evaluation)
    return canvas


def _curves(evaluation: Evaluation) -> list[_Curve]:
    """Return the lines, the heavy ones last, so that they lie on top."""
    scored = [one for one in evaluation.classes if one.curves and one.truth_count]
    if not scored:
        return []
    thresholds = np.array([curve.iou_threshold for curve in scored[0].curves])
    precisions = np.array([[curve.precisions for curve in one.curves] for one in scored])  # [class, threshold, recall]
    means = precisions.mean(axis=0)
    heavy = [_Curve(means.mean(axis=0), _FAINT, 2, f"all classes, IoU {_range(thresholds)}")]
    for iou, colour in zip(reversed(_IOUS), (_WINE, BLACK), strict=True):
        at = np.flatnonzero(np.abs(thresholds - iou) < 1e-9)
        if at.size and len(thresholds) > 1:
            heavy.append(_Curve(means[at[0]], colour, 2, f"all classes, IoU {iou:g}"))
    if len(scored) == 1:
        return heavy
    at = np.flatnonzero(np.abs(thresholds - _IOUS[0]) < 1e-9)
    index = int(at[0]) if at.size else 0
    order = sorted(range(len(scored)), key=lambda row: (-scored[row].truth_count, row))[:MAX_CLASSES]
    light = [
        _Curve(precisions[row, index], class_colour(place), 1, f"{_name(scored[row])}, IoU {thresholds[index]:g}")
        for place, row in enumerate(order)
    ]
    return [*reversed(light), *heavy]


def _range(thresholds: NDArray[np.float64]) -> str:
    least, most = thresholds.min(), thresholds.max()
    return f"{least:g}" if least == most else f"{least:g}:{most:g}"


def _name(one: ClassEvaluation) -> str:
    return one.label.name or f"class {one.label.class_id}"


def _field(canvas: NDArray[np.uint8]) -> None:
    """Draw the field of the curves: a grid, numbers along it, and what they are."""
    lettering = Lettering(1.0)
    for tenth in range(11):
        x, y = _place(tenth / 10, tenth / 10)
        cv2.line(canvas, (x, _TOP), (x, _TOP + _SIDE_Y), _GRID)
        cv2.line(canvas, (_LEFT, y), (_LEFT + _SIDE_X, y), _GRID)
        if tenth % 2 == 0:
            text = f"{tenth / 10:.1f}"
            width = lettering.width(text)
            bottom = _TOP + _SIDE_Y + 8
            lettering.write_line(canvas[bottom : bottom + 24, x - width // 2 :], text, colour=_INK, margin=0)
            lettering.write_line(canvas[y - 12 : y + 12, : _LEFT - 8], "", text, colour=_INK, margin=0)
    cv2.rectangle(canvas, (_LEFT, _TOP), (_LEFT + _SIDE_X, _TOP + _SIDE_Y), _INK)
    middle = _LEFT + (_SIDE_X - lettering.width("recall")) // 2
    lettering.write_line(canvas[_TOP + _SIDE_Y + 38 : _TOP + _SIDE_Y + 62, middle:], "recall", colour=_INK, margin=0)
    upright = filled(24, lettering.width("precision") + 2, _PAPER)
    lettering.write_line(upright, "precision", colour=_INK, margin=0)
    turned = np.rot90(upright)
    top = _TOP + (_SIDE_Y - turned.shape[0]) // 2
    canvas[top : top + turned.shape[0], 12:36] = turned


def _line(canvas: NDArray[np.uint8], curve: _Curve) -> None:
    recalls = np.linspace(0, 1, len(curve.precisions))
    reached = int((curve.precisions > 0).sum()) + 1  # it falls to nothing once, and the axis is no part of it
    xs = _LEFT + recalls[:reached] * _SIDE_X
    ys = _TOP + (1 - np.clip(curve.precisions[:reached], 0, 1)) * _SIDE_Y
    points = np.rint(np.stack([xs, ys], axis=1) * 2**_SHIFT).astype(np.int32)
    cv2.polylines(canvas, [points], False, curve.colour, curve.thickness, cv2.LINE_AA, _SHIFT)


def _legend(canvas: NDArray[np.uint8], curves: Sequence[_Curve], evaluation: Evaluation) -> None:
    lettering, small = Lettering(1.0), Lettering(0.85)
    top = _TOP
    for curve in reversed(curves):
        middle = top + _LINE // 2
        cv2.line(canvas, (_LEGEND, middle), (_LEGEND + 34, middle), curve.colour, curve.thickness + 1, cv2.LINE_AA)
        figure = f"{curve.precisions.mean():.3f}"
        strip = canvas[top : top + _LINE, _LEGEND + 44 : _WIDTH - 16]
        lettering.write_line(strip, curve.text, figure, colour=_INK, margin=0)
        top += _LINE
    for text in _remarks(curves, evaluation):
        small.write_line(canvas[top : top + _LINE, _LEGEND : _WIDTH - 16], text, colour=_FAINT, margin=0)
        top += _LINE


def _remarks(curves: Sequence[_Curve], evaluation: Evaluation) -> Iterable[str]:
    scored_count = sum(bool(one.truth_count) for one in evaluation.classes)
    if not curves:
        yield "no truth, so no curve" if not scored_count else "no curves were asked for"
    elif scored_count > MAX_CLASSES:
        yield f"and {scored_count - MAX_CLASSES} more classes"
    truth_count = sum(one.truth_count for one in evaluation.classes)
    detection_count = sum(one.detection_count for one in evaluation.classes)
    yield f"{evaluation.image_count} pictures, {truth_count} true boxes, {detection_count} detections"


def _place(recall: float, precision: float) -> tuple[int, int]:
    return round(_LEFT + recall * _SIDE_X), round(_TOP + (1 - precision) * _SIDE_Y)
