"""COCO's files: annotations and results of many pictures, put together picture by picture."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retinue.cli.json_files import is_box, is_number, is_whole, read_json
from retinue.cli.refusal import Refused
from retinue.client.evaluation_request import EvaluationImage

Record = dict[str, Any]

_UNUSED = ("segmentation", "caption", "keypoints")  # by far the most of a large file


@dataclass(frozen=True, slots=True)
class CocoFiles:
    """Truth and detections.

    Args:
        labels: names of the categories by id, ascending.
        image_ids: of all pictures, in the order of the file.
        truth: annotations of each picture.
        detections: results of each picture, of these categories only.
    """

    labels: Mapping[int, str]
    image_ids: list[int]
    truth: Mapping[int, list[Record]]
    detections: Mapping[int, list[Record]]

    def images(self) -> Iterator[EvaluationImage]:
        """Yield each picture as it is to be scored."""
        for image_id in self.image_ids:
            truth, found = self.truth.get(image_id, []), self.detections.get(image_id, [])
            yield EvaluationImage(
                truth_boxes=[_corners(one["bbox"]) for one in truth],
                truth_class_ids=[one["category_id"] for one in truth],
                truth_areas=[one["area"] for one in truth],
                truth_are_crowds=[bool(one.get("iscrowd", 0)) for one in truth],
                boxes=[_corners(one["bbox"]) for one in found],
                class_ids=[one["category_id"] for one in found],
                scores=[one["score"] for one in found],
                image_id=str(image_id),
            )


def read_coco(truth_path: Path, detections_path: Path) -> CocoFiles:
    """Return what two files hold; masks are not looked at.

    Raises:
        Refused: one cannot be read, is of another form, or the results are of pictures that the truth does not have.
    """
    truth = read_json(truth_path, _without_unused)
    if not isinstance(truth, dict):
        raise Refused(f"{truth_path}: must be an object with images, annotations and categories")
    categories = _records(truth_path, "categories", truth.get("categories"))
    labels = {}
    for index, category in enumerate(categories):
        if not is_whole(category.get("id")) or not 0 <= category["id"] < 2**31:
            raise Refused(f"{truth_path}: categories[{index}]: id must be a whole number from 0 up")
        labels[category["id"]] = str(category.get("name", ""))
    image_ids: list[int] = []
    for index, image in enumerate(_records(truth_path, "images", truth.get("images"))):
        if not is_whole(image.get("id")):
            raise Refused(f"{truth_path}: images[{index}]: id must be a whole number")
        image_ids.append(image["id"])
    annotations = _records(truth_path, "annotations", truth.get("annotations"))
    results = _records(detections_path, "", read_json(detections_path, _without_unused))
    known = set(image_ids)
    return CocoFiles(
        labels=dict(sorted(labels.items())),
        image_ids=list(dict.fromkeys(image_ids)),
        truth=_by_image(truth_path, "annotations", annotations, ("area",), known, labels),
        detections=_by_image(detections_path, "", results, ("score",), known, labels),
    )


def _without_unused(record: Record) -> Record:
    for name in _UNUSED:
        record.pop(name, None)
    return record


def _records(path: Path, name: str, value: Any) -> list[Record]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise Refused(f"{path}: {name or 'it'} must be a list of objects")
    return value


def _by_image(
    path: Path,
    name: str,
    records: list[Record],
    numbers: tuple[str, ...],
    image_ids: set[int],
    labels: Mapping[int, str],
) -> dict[int, list[Record]]:
    """Return the records of each picture, those of other categories left out as pycocotools does.

    Raises:
        Refused: a record is not as COCO's.
    """
    by_image: dict[int, list[Record]] = defaultdict(list)
    for index, record in enumerate(records):
        image_id = record.get("image_id")
        problem = _problem(record, numbers)
        if not problem and image_id not in image_ids:
            problem = f"image_id {image_id} is no picture of the truth"
        if problem:
            raise Refused(f"{path}: {name}[{index}]: {problem}")
        if record["category_id"] in labels:
            by_image[record["image_id"]].append(record)
    return by_image


def _problem(record: Record, numbers: tuple[str, ...]) -> str:
    for name in ("image_id", "category_id"):
        if not is_whole(record.get(name)):
            return f"{name} must be a whole number"
    if not is_box(record.get("bbox")):
        return "bbox must be four numbers"
    for name in numbers:
        if not is_number(record.get(name)):
            return f"{name} must be a number"
    if record.get("iscrowd", 0) not in (0, 1):
        return "iscrowd must be 0 or 1"
    return ""


def _corners(box: list[float]) -> list[float]:
    x, y, width, height = box
    return [x, y, x + width, y + height]
