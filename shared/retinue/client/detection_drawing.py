"""Detections drawn for people: boxes in the colours of their classes, each with a plate that says what it is."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retinue.client.detection_answer import Detection, DetectionAnswer
from retinue.client.drawing_canvas import canvas_for
from retinue.client.legend import LegendEntry, legend
from retinue.client.lettering import Colour, Lettering
from retinue.client.palette import class_colour, ink_on
from retinue.client.plates import Plate, Size, place_plates

MAX_PLATES = 500

_UNIT_BOX_PX = 90  # the same of boxes: text that is large beside its boxes would hide them
_MIN_SIZE = 0.85

# Sizes of a plate and of lines at size 1.
_PLATE = 19
_MARGIN = 4
_LINE = 2.3
_CASING = 0.8
_MAX_NAME = 160


def draw_detections(pixels_rgb: NDArray[np.uint8], answer: DetectionAnswer) -> NDArray[np.uint8]:
    """Return the picture with its detections drawn, and a legend under it: the classes with their colours and counts.

    A small picture is enlarged by a whole number to sides of about 960 pixels, others keep their pixels; a very
    narrow one stands on paper. Lines and text grow with the picture. Where boxes stand so close that names would lie
    over each other, the lower scores give theirs up, and the legend says how many. Characters outside ASCII become
    question marks.

    Args:
        pixels_rgb: uint8 [height, width, 3], RGB, upright; grey [height, width] is taken too.
        answer: the answer for it.

    Returns:
        uint8 [picture height + legend height, width, 3], RGB; the input is not changed.

    Raises:
        ValueError: the pixels have another shape or dtype, there are none, or the answer is for a picture of another
            size.
    """
    canvas = canvas_for(pixels_rgb, answer.image_info)
    pixels, unit = canvas.pixels, canvas.unit
    shown, boxes = _shown(answer, canvas.scale, canvas.width, canvas.height)
    boxes += np.array([canvas.left, canvas.top, canvas.left, canvas.top])
    size = _text_size(boxes, unit)
    for detection, box in zip(reversed(shown), boxes[::-1].tolist(), strict=True):
        _outline(pixels, box, class_colour(detection.label_id), size)
    unnamed_count = len(shown) - _draw_plates(pixels, shown, boxes, size)
    return np.concatenate([pixels, _legend(answer, pixels.shape[1], unit, unnamed_count)])


def _legend(answer: DetectionAnswer, width: int, unit: float, unnamed_count: int) -> NDArray[np.uint8]:
    """Return a strip with each class that was found and its count, the most frequent first."""
    counts = Counter((one.label_id, one.label) for one in answer.detections).most_common()
    unnamed = f"{unnamed_count} without room for a name; " if unnamed_count else ""
    return legend(
        [LegendEntry(label_id, label, str(count)) for (label_id, label), count in counts],
        (f"{answer.model_name}@{answer.model_version}", f"{unnamed}{answer.timings.total_s * 1e3:.1f} ms"),
        width,
        unit,
    )


def _shown(answer: DetectionAnswer, scale: int, width: int, height: int) -> tuple[list[Detection], NDArray[np.int64]]:
    """Return the detections that can be drawn, and their corners on the picture, (n, 4), at least a pixel apart."""
    is_drawable = np.isfinite(answer.boxes).all(axis=1)
    shown = [answer.detections[index] for index in np.flatnonzero(is_drawable)]
    limits = np.array([width, height, width, height], np.float64)
    boxes = np.clip(np.rint(answer.boxes[is_drawable].astype(np.float64) * scale), 0, limits).astype(np.int64)
    boxes[:, :2] = np.minimum(boxes[:, :2], limits[:2].astype(np.int64) - 1)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    return shown, boxes


def _text_size(boxes: NDArray[np.int64], unit: float) -> float:
    """Return the size of text that suits the picture and the boxes on it."""
    if not len(boxes):
        return unit
    side = float(np.median(np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))))
    return max(_MIN_SIZE, min(unit, side / _UNIT_BOX_PX))


def _outline(canvas: NDArray[np.uint8], box: Sequence[int], colour: Colour, size: float) -> None:
    """Draw the line of a box just inside it, between two thin ones that set it off from any background."""
    x_1, y_1, x_2, y_2 = box
    side = min(x_2 - x_1, y_2 - y_1)
    line = max(1, min(round(_LINE * size), side // 10))
    casing = max(1, min(round(_CASING * size), side // 20))
    ink = ink_on(colour)
    _ring(canvas, (x_1 - casing, y_1 - casing, x_2 + casing, y_2 + casing), casing, ink)
    if side >= 8 * (line + casing):
        _ring(canvas, (x_1 + line, y_1 + line, x_2 - line, y_2 - line), casing, ink)
    _ring(canvas, (x_1, y_1, x_2, y_2), line, colour)


def _ring(canvas: NDArray[np.uint8], box: tuple[int, int, int, int], thickness: int, colour: Colour) -> None:
    x_1, y_1, x_2, y_2 = (max(0, edge) for edge in box)
    canvas[y_1 : box[1] + thickness, x_1:x_2] = colour
    canvas[box[3] - thickness : y_2, x_1:x_2] = colour
    canvas[y_1:y_2, x_1 : box[0] + thickness] = colour
    canvas[y_1:y_2, box[2] - thickness : x_2] = colour


def _draw_plates(canvas: NDArray[np.uint8], shown: Sequence[Detection], boxes: NDArray[np.int64], size: float) -> int:
    """Draw the plates that have room and return how many those are."""
    lettering = Lettering(size)
    texts = [
        _texts(detection, lettering, max(box[2] - box[0], round(_MAX_NAME * size)))
        for detection, box in zip(shown[:MAX_PLATES], boxes[:MAX_PLATES].tolist(), strict=True)
    ]
    margin, height = round(_MARGIN * size), round(_PLATE * size)
    sizes: list[list[Size]] = [
        [(lettering.width(text) + 2 * margin, height) for text in variants] for variants in texts
    ]
    canvas_size, casing = (canvas.shape[1], canvas.shape[0]), max(1, round(_CASING * size))
    plates: list[Plate] = list(place_plates(boxes, sizes, canvas_size, gap=casing))
    for plate in plates:
        width, _ = sizes[plate.index][plate.variant]
        strip = canvas[plate.top : plate.top + height, plate.left : plate.left + width]
        colour = class_colour(shown[plate.index].label_id)
        strip[:] = ink_on(colour)
        strip[casing:-casing, casing:-casing] = colour
        lettering.write_line(strip, texts[plate.index][plate.variant], colour=ink_on(colour), margin=margin)
    return len(plates)


def _texts(detection: Detection, lettering: Lettering, room: int) -> list[str]:
    """Return what a plate says: name and score; or the score alone, since the colour tells the class."""
    score = f"{detection.score:.2f}"
    return [f"{lettering.shortened(detection.label, room)} {score}", score]
