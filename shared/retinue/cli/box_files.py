"""Boxes in JSON files, of whoever found them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retinue.cli.json_files import is_box, is_whole, read_json
from retinue.cli.refusal import Refused

_FORMS = (
    "must hold boxes [x_min, y_min, x_max, y_max], an object with such `boxes` (and `class_ids`), what `retinue detect "
    "--json` prints for one picture, or COCO's results of one picture"
)


@dataclass(frozen=True, slots=True)
class FiledBoxes:
    """Boxes of a file.

    Args:
        boxes: corners ``x_min, y_min, x_max, y_max`` of each.
        class_ids: of each; None where the file has none.
    """

    boxes: list[list[float]]
    class_ids: list[int] | None


def read_boxes(path: Path) -> FiledBoxes:
    """Return the boxes of a file.

    Raises:
        Refused: it cannot be read, or holds something else.
    """
    content = read_json(path)
    if isinstance(content, dict):
        if "detections" in content:
            return _of_records(path, content["detections"], "box", "label_id")
        return _filed(path, content.get("boxes"), content.get("class_ids"))
    if isinstance(content, list) and content and all(isinstance(one, dict) for one in content):
        if len({one.get("image_id") for one in content}) > 1:
            raise Refused(f"{path}: holds boxes of several pictures; score them with `retinue evaluate`")
        found = _of_records(path, content, "bbox", "category_id")
        corners = [[x, y, x + width, y + height] for x, y, width, height in found.boxes]
        return FiledBoxes(corners, found.class_ids)
    return _filed(path, content, None)


def _of_records(path: Path, records: Any, box: str, class_id: str) -> FiledBoxes:
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise Refused(f"{path}: {_FORMS}")
    class_ids = [one.get(class_id) for one in records]
    return _filed(path, [one.get(box) for one in records], None if None in class_ids else class_ids)


def _filed(path: Path, boxes: Any, class_ids: Any) -> FiledBoxes:
    if not isinstance(boxes, list):
        raise Refused(f"{path}: {_FORMS}")
    for index, box in enumerate(boxes):
        if not is_box(box):
            raise Refused(f"{path}: box {index} is not four numbers")
    if class_ids is not None and not (
        isinstance(class_ids, list) and len(class_ids) == len(boxes) and all(map(is_whole, class_ids))
    ):
        raise Refused(f"{path}: class_ids must be a whole number for each box")
    return FiledBoxes(boxes, class_ids)
