"""Figures of merit against the tools that define them."""

import contextlib
import io
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Literal

import faster_coco_eval
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn import metrics as sklearn_metrics

from loadtests.benchmarks.ops.case import Case
from retinue.ops import (
    aggregated_jaccard,
    aggregated_jaccard_plus,
    average_precision,
    confusion_matrix,
    evaluate_detections,
    panoptic_quality,
    rle_encode,
    roc_auc,
)
from retinue.ops.detection_records import Detections, GroundTruth

Records = tuple[GroundTruth, Detections]


def cases() -> Iterator[Case]:
    """Yield detections, instances and rankings."""
    yield from _detection_cases()
    yield from _instance_cases()
    yield from _ranking_cases()


def _detection_cases() -> Iterator[Case]:
    note = "peers: evaluate and accumulate alone, results are loaded ahead"
    few, many, masked = _Scene(5000, 80, 20), _Scene(1000, 80, 100), _Scene(200, 20, 20, kind="masks")
    yield Case(
        "evaluate_detections boxes 5000x80, 20 per image", few.ours, few.peers(), 10.0, "pycocotools",
        f"{note}; takes minutes",
    )  # fmt: skip
    yield Case("evaluate_detections boxes 1000x80, 100 per image", many.ours, many.peers(), 10.0, "pycocotools", note)
    yield Case(
        "evaluate_detections masks 200x20, 20 per image", masked.ours, masked.peers(), 3.0, "pycocotools",
        "480 by 640 pixels",
    )  # fmt: skip


class _Scene:
    """Objects and detections, made and loaded into the peers when they are first measured."""

    def __init__(self, images: int, classes: int, per_image: int, *, kind: Literal["boxes", "masks"] = "boxes") -> None:
        self._make: Callable[[], Records] = lambda: _scene(images, classes, per_image, with_masks=kind == "masks")
        self._kind: Literal["boxes", "masks"] = kind
        self._loaded: dict[str, Any] = {}

    def ours(self) -> object:
        """Evaluate by our own."""
        return evaluate_detections(*self._records(), kind=self._kind)

    def _records(self) -> Records:
        if "ours" not in self._loaded:
            self._loaded["ours"] = self._make()
        records: Records = self._loaded["ours"]
        return records

    def peers(self) -> dict[str, Callable[[], object]]:
        """Return the peers by name."""
        return {
            "pycocotools": lambda: self._run("pycocotools", COCO, COCOeval),
            "faster_coco_eval": lambda: self._run(
                "faster_coco_eval", faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster
            ),
        }

    def _run(self, name: str, tool: Any, evaluator: Any) -> object:
        with contextlib.redirect_stdout(io.StringIO()):
            if name not in self._loaded:
                self._loaded[name] = _loaded(tool, *self._records())
            options = {"extra_calc": False} if name == "faster_coco_eval" else {}
            evaluation = evaluator(*self._loaded[name], {"boxes": "bbox", "masks": "segm"}[self._kind], **options)
            evaluation.evaluate()
            evaluation.accumulate()
        return evaluation.eval["precision"]


def _loaded(tool: Any, truth: GroundTruth, found: Detections) -> tuple[Any, Any]:
    coco = tool()
    coco.dataset = {
        "images": [{"id": i, "height": 480, "width": 640} for i in np.unique(truth.image_ids).tolist()],
        "categories": [{"id": k, "name": str(k)} for k in np.unique(truth.labels).tolist()],
        "annotations": [row | {"id": place + 1, "iscrowd": 0} for place, row in enumerate(_rows(truth))],
    }
    coco.createIndex()
    results = [row | {"score": score} for row, score in zip(_rows(found), found.scores.tolist(), strict=True)]
    for row in results:
        if found.masks is not None:
            del row["bbox"]
    return coco, coco.loadRes(results)


def _rows(records: GroundTruth | Detections) -> list[dict[str, Any]]:
    rows = [
        {"image_id": image, "category_id": label, "bbox": box, "area": box[2] * box[3]}
        for image, label, box in zip(
            records.image_ids.tolist(), records.labels.tolist(), np.asarray(records.boxes).tolist(), strict=True
        )
    ]
    for row, mask in zip(rows, records.masks or (), strict=False):
        sizes = [mask.height, mask.width]
        row["segmentation"] = coco_masks.frPyObjects({"size": sizes, "counts": mask.counts.tolist()}, *sizes)
    return rows


def _scene(images: int, classes: int, per_image: int, *, with_masks: bool = False) -> Records:
    """Return seven objects an image, and detections: half near an object, half anywhere."""
    rng = np.random.default_rng(0)
    image_ids = np.repeat(np.arange(images), 7)
    labels = rng.integers(0, classes, len(image_ids))
    boxes = _boxes(rng, len(image_ids))
    near = rng.integers(0, len(image_ids), images * per_image // 2)
    moved = boxes[near] + rng.normal(0, 0.08, (len(near), 4)) * np.tile(boxes[near, 2:], 2)
    moved[:, 2:] = np.abs(moved[:, 2:])
    others = images * per_image - len(near)
    found_boxes = np.concatenate([moved, _boxes(rng, others)]).round(2)
    scores = np.concatenate([rng.beta(3, 2, len(near)), rng.beta(1, 4, others)]).round(4)
    return (
        GroundTruth(image_ids, labels, boxes, box_format="xywh", masks=_ellipses(boxes) if with_masks else None),
        Detections(
            np.concatenate([image_ids[near], rng.integers(0, images, others)]),
            np.concatenate([labels[near], rng.integers(0, classes, others)]),
            scores,
            found_boxes,
            box_format="xywh",
            masks=_ellipses(found_boxes) if with_masks else None,
        ),
    )


def _boxes(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    sizes = np.exp(rng.normal(4, 1, (count, 2)))
    return np.concatenate([rng.random((count, 2)) * (500, 350), sizes], axis=1).round(2)


def _ellipses(boxes: NDArray[np.float64]) -> list[Any]:
    y, x = np.ogrid[:480, :640]
    return [
        rle_encode(((x - left) / width - 0.5) ** 2 + ((y - top) / height - 0.5) ** 2 < 0.25)
        for left, top, width, height in np.maximum(boxes, 1).tolist()
    ]


def _instance_cases() -> Iterator[Case]:
    note = "peer: one joint histogram by numpy, which leaves the pairing out"
    for figure in (panoptic_quality, aggregated_jaccard, aggregated_jaccard_plus):
        yield Case(
            f"{figure.__name__} 2048x2048, 1200",
            lambda figure=figure: figure(*_nuclei(2048, 1200)),  # type: ignore[misc]
            {"bincount": lambda: _histogram(*_nuclei(2048, 1200))},
            2.0,
            note=note,
        )
    yield Case(
        "panoptic_quality 512x512, 75",
        lambda: panoptic_quality(*_nuclei(512, 75)),
        {"whole pictures": lambda: _by_whole_pictures(*_nuclei(512, 75))},
        50.0,
        note="peer: a mask of the whole picture for each instance, as HoVer-Net does",
    )
    yield Case(
        "panoptic_quality 2048x2048, 1200, whole pictures",
        lambda: panoptic_quality(*_nuclei(2048, 1200)),
        {"40 of 1200": lambda: _by_whole_pictures(*_nuclei(2048, 1200), 40)},
        20.0,
        note="peer: as above, for 40 of the 1200 instances alone; all take more than 30 times as long",
    )


@cache
def _nuclei(side: int, count: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return two maps of discs, the second moved by a few pixels, some missing."""
    rng = np.random.default_rng(1)
    centres, radii = rng.random((count, 2)) * side, rng.uniform(10, 28, count)
    maps = []
    for shift in (0.0, 4.0):
        label_map = np.zeros((side, side), np.int32)
        for label, ((y, x), radius) in enumerate(
            zip(centres + rng.normal(0, shift, centres.shape), radii, strict=True), 1
        ):
            if rng.random() < 0.95:
                top, left = max(0, int(y - radius)), max(0, int(x - radius))
                part = label_map[top : int(y + radius) + 1, left : int(x + radius) + 1]
                rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
                part[(rows + top - y) ** 2 + (columns + left - x) ** 2 < radius**2] = label
        maps.append(label_map)
    return maps[0], maps[1]


def _histogram(true: NDArray[np.int32], predicted: NDArray[np.int32]) -> NDArray[np.int64]:
    width = int(predicted.max()) + 1
    size = width * (int(true.max()) + 1)
    return np.bincount((true.astype(np.int64) * width + predicted).ravel(), minlength=size).reshape(-1, width)


def _by_whole_pictures(true: NDArray[np.int32], predicted: NDArray[np.int32], most: int | None = None) -> float:
    """Return the sum of IoUs above a half, each taken over the whole picture."""
    total = 0.0
    masks = {label: (predicted == label).astype(np.uint8) for label in np.unique(predicted)[1:][:most].tolist()}
    for label in np.unique(true)[1:][:most].tolist():
        mask = (true == label).astype(np.uint8)
        for other in np.unique(predicted[mask > 0]).tolist():
            if other in masks:
                both = int((mask * masks[other]).sum())
                iou = both / (int((mask + masks[other]).sum()) - both)
                total += iou * (iou > 0.5)
    return total


def _ranking_cases() -> Iterator[Case]:
    rng = np.random.default_rng(2)
    for count in (1000, 1_000_000):
        claims = rng.random(count) < 0.3
        scores = rng.normal(size=count) + claims
        yield Case(
            f"average_precision n={count}",
            lambda scores=scores, claims=claims: average_precision(scores, claims),  # type: ignore[misc]
            {
                "sklearn": lambda scores=scores, claims=claims: sklearn_metrics.average_precision_score(claims, scores)  # type: ignore[misc]
            },
            5.0,
        )
        yield Case(
            f"roc_auc n={count}",
            lambda scores=scores, claims=claims: roc_auc(scores, claims),  # type: ignore[misc]
            {"sklearn": lambda scores=scores, claims=claims: sklearn_metrics.roc_auc_score(claims, scores)},  # type: ignore[misc]
            1.0,
        )
    true, predicted = rng.integers(0, 20, 1_000_000), rng.integers(0, 20, 1_000_000)
    yield Case(
        "confusion_matrix n=1000000, 20 classes",
        lambda: confusion_matrix(true, predicted, 20),
        {
            "sklearn": lambda: sklearn_metrics.confusion_matrix(true, predicted),
            "bincount": lambda: np.bincount(true * 20 + predicted, minlength=400).reshape(20, 20),
        },
        20.0,
        "sklearn",
        "bincount does not look whether labels are in range",
    )
