"""Segmentations drawn for people: classes as translucent colours, single things outlined along their pixels."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retinue.client.class_regions import ClassRegion
from retinue.client.drawing_canvas import Canvas, canvas_for
from retinue.client.legend import LegendEntry, legend
from retinue.client.lettering import Colour, Lettering
from retinue.client.palette import class_colour, ink_on
from retinue.client.segmentation_answer import Instance, SegmentationAnswer

BACKGROUNDS = frozenset({"background", "__background__"})
"""Names of a first class that is left as it is."""

_VEIL = 0.35  # how much of a class's colour lies over the picture
_LINE = 2.2  # width of an outline at size 1
_CASING = 0.7
_THIN_SIDE_PX = 60  # things smaller than this on the canvas have thinner outlines
_LEAST_SIZE = 0.5

# Numbers at size 1.
_NUMBER = 1.0
_LEAST_NUMBER = 0.7
_PLATE = 17
_PLATE_MARGIN = 3


def draw_segmentation(
    pixels_rgb: NDArray[np.uint8], answer: SegmentationAnswer, *, is_numbered: bool = False
) -> NDArray[np.uint8]:
    """Return the picture with its classes and single things drawn, and a legend under it: shares of pixels and counts.

    Each class is a veil of its colour; a first class called background is left as it is. Each thing has an outline on
    its outermost pixels, so that touching ones can be told apart. What was not asked for (class map or masks) is not
    drawn. A small picture is enlarged by a whole number to sides of about 960 pixels, others keep their pixels.

    Args:
        pixels_rgb: uint8 [height, width, 3], RGB, upright; grey [height, width] is taken too.
        answer: the answer for it.
        is_numbered: whether things that have room for it show their number, from 1 on, in the order of the answer.

    Returns:
        uint8 [picture height + legend height, width, 3], RGB; the input is not changed.

    Raises:
        ValueError: the pixels have another shape or dtype, there are none, the answer is for a picture of another
            size, or what was sent of its masks cannot be decoded.
    """
    canvas = canvas_for(pixels_rgb, answer.image_info)
    things = [one for one in answer.instances if one.encoded is not None]
    label_map = answer.instance_map() if things else None
    if answer.has_class_map:
        veiled = {region.label_id: class_colour(region.label_id) for region in _shown(answer) if region.pixel_count}
        _veil(canvas, answer.class_map, veiled)
    elif label_map is not None:
        _veil(canvas, label_map, {number: class_colour(one.label_id) for number, one in enumerate(things, 1)})
    unnumbered_count = 0
    if label_map is not None:
        size = _size_of(things, canvas)
        _outline(canvas, label_map, things, size)
        if is_numbered:
            unnumbered_count = len(things) - _number(canvas, things, size)
    return np.concatenate([canvas.pixels, _legend(answer, canvas, unnumbered_count)])


def _shown(answer: SegmentationAnswer) -> list[ClassRegion]:
    """Return the classes that are drawn: all but a background."""
    return [region for region in answer.classes if region.label_id > 0 or region.label not in BACKGROUNDS]


def _veil(canvas: Canvas, numbers: NDArray[Any], colours: dict[int, Colour]) -> None:
    """Lay colours over the picture, each where its number stands; where another does, nothing is changed."""
    count = int(numbers.max()) + 1
    table, is_veiled = np.zeros((count, 3), np.uint8), np.zeros(count, np.uint8)
    for number, colour in colours.items():
        if number < count:
            table[number], is_veiled[number] = colour, 1
    size = (canvas.width, canvas.height)
    over = cv2.resize(table[numbers], size, interpolation=cv2.INTER_NEAREST)
    where = cv2.resize(is_veiled[numbers], size, interpolation=cv2.INTER_NEAREST).astype(np.bool_)
    mixed = cv2.addWeighted(canvas.picture, 1 - _VEIL, over, _VEIL, 0)
    np.copyto(canvas.picture, mixed.astype(np.uint8, copy=False), where=where[:, :, np.newaxis])


def _size_of(things: Sequence[Instance], canvas: Canvas) -> float:
    """Return the size of lines and text that suits the picture and the things on it."""
    side = canvas.scale * float(np.median(np.sqrt([one.area_px for one in things])))
    return max(_LEAST_SIZE, min(canvas.unit, side / _THIN_SIDE_PX))


def _outline(canvas: Canvas, label_map: NDArray[np.int32], things: Sequence[Instance], size: float) -> None:
    """Draw the outermost pixels of each thing in its colour, and the very last of them so that they stand out."""
    colours = np.array([(0, 0, 0), *(class_colour(one.label_id) for one in things)], np.uint8)
    inks = np.array([(0, 0, 0), *(ink_on(class_colour(one.label_id)) for one in things)], np.uint8)
    labels = cv2.resize(
        label_map.astype(np.float32), (canvas.width, canvas.height), interpolation=cv2.INTER_NEAREST
    )  # OpenCV has no morphology of int32; float32 holds every number that this many things can have
    casing = round(_CASING * size)
    for width, paint in ((casing + max(1, round(_LINE * size)), colours), (casing, inks)):
        if width:
            kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
            is_edge = (cv2.dilate(labels, kernel) != labels) | (cv2.erode(labels, kernel) != labels)
            is_edge &= labels > 0
            canvas.picture[is_edge] = paint[labels[is_edge].astype(np.int64)]


def _number(canvas: Canvas, things: Sequence[Instance], size: float) -> int:
    """Write the number of each thing that has room for it in its middle, and return how many those are."""
    lettering = Lettering(max(_LEAST_NUMBER, _NUMBER * size))
    margin, height = round(_PLATE_MARGIN * lettering.size), round(_PLATE * lettering.size)
    is_taken = np.zeros(canvas.picture.shape[:2], np.bool_)
    count = 0
    for number, one in enumerate(things, 1):
        text = str(number)
        width = lettering.width(text) + 2 * margin
        left = round(one.centroid[0] * canvas.scale - width / 2)
        top = round(one.centroid[1] * canvas.scale - height / 2)
        left, top = (max(0, min(left, canvas.width - width)), max(0, min(top, canvas.height - height)))
        place = np.s_[top : top + height, left : left + width]
        box_width, box_height = (canvas.scale * (one.box[2 + side] - one.box[side]) for side in (0, 1))
        if width > box_width or height > box_height or is_taken[place].any():
            continue
        strip, colour = canvas.picture[place], class_colour(one.label_id)
        strip[:] = colour
        lettering.write_line(strip, text, colour=ink_on(colour), margin=margin)
        is_taken[place] = True
        count += 1
    return count


def _legend(answer: SegmentationAnswer, canvas: Canvas, unnumbered_count: int) -> NDArray[np.uint8]:
    """Return a strip with each class that is there, its share of the picture and the count of its things."""
    counts = Counter(one.label_id for one in answer.instances)
    pixel_count = answer.image_info.width * answer.image_info.height
    entries = [
        LegendEntry(region.label_id, region.label, _amount(region.pixel_count / pixel_count, counts[region.label_id]))
        for region in sorted(_shown(answer), key=lambda region: -region.pixel_count)
        if region.pixel_count or counts[region.label_id]
    ]
    unnumbered = f"{unnumbered_count} without room for a number; " if unnumbered_count else ""
    footer = (f"{answer.model_name}@{answer.model_version}", f"{unnumbered}{answer.timings.total_s * 1e3:.1f} ms")
    return legend(entries, footer, canvas.pixels.shape[1], canvas.unit)


def _amount(share: float, count: int) -> str:
    text = "<0.1%" if 0 < share < 0.001 else f"{share:.1%}"
    return f"{text}, {count}" if count else text
