"""Laws of COCO's figures: above all, that they are pycocotools' to the last bit."""

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from retinue.ops import DetectionMetrics, evaluate_detections, rle_encode, rle_to_string
from retinue.ops.detection_metrics import DetectionEvaluator
from retinue.ops.detection_records import Detections, GroundTruth
from retinue.ops.rle import Rle

IMAGES, CLASSES = 3, 3


@dataclass(frozen=True)
class Scene:
    """Objects and detections on a coarse grid, so that equal overlaps, scores and areas at the bounds are common."""

    truth: GroundTruth
    found: Detections


def scenes(*, masks: bool = False) -> st.SearchStrategy[Scene]:
    return st.builds(
        lambda seed, objects, detections: scene(np.random.default_rng(seed), objects, detections, masks=masks),
        st.integers(0, 2**32),
        st.integers(0, 12),
        st.integers(0, 25),
    )


def boxes_xywh(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    corners = rng.integers(0, 5, (count, 2)) * 8.0
    sizes = rng.choice([0.0, 8.0, 16.0, 32.0, 64.0, 96.0], (count, 2))
    boxes: NDArray[np.float64] = np.concatenate([corners, sizes], axis=1) + rng.choice([0, 0.1], (count, 1))
    return boxes


def masks_of(rng: np.random.Generator, count: int) -> list[Rle]:
    masks = np.zeros((count, 10, 12), bool)
    for mask in masks:
        y, x = rng.integers(0, 8, 2)
        mask[y : y + rng.integers(0, 8), x : x + rng.integers(0, 8)] = True
    return [rle_encode(mask) for mask in masks]


def scene(rng: np.random.Generator, objects: int, detections: int, *, masks: bool) -> Scene:
    shape: dict[str, Any] = {"masks": masks_of(rng, objects)} if masks else {"boxes": boxes_xywh(rng, objects)}
    truth = GroundTruth(
        rng.integers(0, IMAGES, objects),
        rng.integers(0, CLASSES, objects),
        areas=rng.choice([1024.0, 100.0, 5000.0, 9216.0], objects),
        is_crowd=rng.random(objects) < 0.2,
        box_format="xywh",
        **shape,
    )
    shape = {"masks": masks_of(rng, detections)} if masks else {"boxes": boxes_xywh(rng, detections)}
    found = Detections(
        rng.integers(0, IMAGES, detections),
        rng.integers(0, CLASSES, detections),
        rng.integers(0, 8, detections) / 8,
        box_format="xywh",
        **shape,
    )
    return Scene(truth, found)


def rows(records: GroundTruth | Detections) -> list[dict[str, Any]]:
    """The records as a COCO file has them."""
    made: list[dict[str, Any]] = [
        {"image_id": int(image), "category_id": int(label)}
        for image, label in zip(records.image_ids, records.labels, strict=True)
    ]
    if records.boxes is not None:
        for row, box in zip(made, records.boxes, strict=True):
            row["bbox"] = box.tolist()
    for row, mask in zip(made, records.masks or [], strict=False):
        row["segmentation"] = {"size": [mask.height, mask.width], "counts": rle_to_string(mask)}
    return made


def published(one: Scene, kind: str = "bbox", first_id: int = 1, **options: Any) -> COCOeval:
    """What pycocotools says."""
    truth, found = rows(one.truth), rows(one.found)
    for place, row in enumerate(truth):
        row |= {
            "id": place + first_id,
            "area": float(one.truth.areas[place]),  # type: ignore[index]
            "iscrowd": int(one.truth.is_crowd[place]),  # type: ignore[index]
        }
    for row, score in zip(found, one.found.scores, strict=True):
        row["score"] = float(score)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": image, "height": 10, "width": 12} for image in range(IMAGES)],
            "categories": [{"id": label} for label in range(CLASSES)],
            "annotations": truth,
        }
        coco.createIndex()
        results = coco.loadRes(found) if found else COCO()
        evaluation = COCOeval(coco, results, kind)
        for name, value in options.items():
            setattr(evaluation.params, name, value)
        evaluation.evaluate()
        evaluation.accumulate()
        if "maxDets" not in options and "areaRng" not in options:
            evaluation.summarize()
    return evaluation


def assert_equal(ours: DetectionMetrics, theirs: COCOeval) -> None:
    np.testing.assert_array_equal(ours.precision, theirs.eval["precision"])
    np.testing.assert_array_equal(ours.recall, theirs.eval["recall"])
    np.testing.assert_array_equal(ours.scores, theirs.eval["scores"])


@settings(deadline=None)
@given(scenes())
def test_boxes_are_judged_to_the_last_bit_as_pycocotools_does(one: Scene) -> None:
    ours, theirs = evaluate_detections(one.truth, one.found, labels=range(CLASSES)), published(one)
    assert_equal(ours, theirs)
    assert list(ours.summary.values()) == theirs.stats.tolist()


@settings(deadline=None, max_examples=50)
@given(scenes(masks=True))
def test_masks_are_judged_to_the_last_bit_as_pycocotools_does(one: Scene) -> None:
    ours = evaluate_detections(one.truth, one.found, kind="masks", labels=range(CLASSES))
    assert_equal(ours, published(one, "segm"))


@settings(deadline=None, max_examples=50)
@given(scenes())
def test_without_classes_too(one: Scene) -> None:
    ours = evaluate_detections(one.truth, one.found, is_class_agnostic=True)
    assert_equal(ours, published(one, useCats=0))


@settings(deadline=None, max_examples=50)
@given(scenes())
def test_with_other_options_too(one: Scene) -> None:
    thresholds, recalls = np.array([0.9, 0.25, 1.0]), np.array([0.0, 0.1, 0.5, 0.5, 1.0])
    ours = evaluate_detections(
        one.truth,
        one.found,
        labels=range(CLASSES),
        iou_thresholds=thresholds,
        recall_points=recalls,
        max_detections=(2, 3),
        area_ranges={"all": (0, 1e10), "some": (100, 1024)},
    )
    theirs = published(
        one,
        iouThrs=thresholds,
        recThrs=recalls,
        maxDets=[2, 3],
        areaRng=[[0, 1e10], [100, 1024]],
        areaRngLbl=["a", "b"],
    )
    assert_equal(ours, theirs)


def test_pycocotools_takes_the_object_with_id_zero_for_missed_and_we_have_no_ids() -> None:
    box = np.array([[0.0, 0.0, 10.0, 10.0], [50.0, 0.0, 10.0, 10.0]])
    truth = GroundTruth(
        np.zeros(2, int), np.zeros(2, int), box, areas=np.full(2, 100.0), box_format="xywh", is_crowd=np.zeros(2, bool)
    )
    one = Scene(truth, Detections(np.zeros(2, int), np.zeros(2, int), np.array([0.9, 0.8]), box, box_format="xywh"))
    from_one, from_zero = published(one).stats[0], published(one, first_id=0).stats[0]
    assert (from_one, from_zero) == (pytest.approx(1), pytest.approx(51 / 101 / 2))
    assert evaluate_detections(one.truth, one.found).ap == from_one


def part(records: Any, keep: Any) -> Any:
    kept = {
        name: None if (value := getattr(records, name)) is None else value[keep]
        for name in ("image_ids", "labels", "boxes", "areas", "scores", "is_crowd", "is_ignored")
        if hasattr(records, name)
    }
    return type(records)(**kept, box_format=records.box_format)


@settings(deadline=None, max_examples=50)
@given(scenes(), st.permutations(range(IMAGES)))
def test_image_by_image_in_any_order_is_all_at_once(one: Scene, order: list[int]) -> None:
    evaluator = DetectionEvaluator(labels=range(CLASSES))
    for image in order:
        evaluator.add(part(one.truth, one.truth.image_ids == image), part(one.found, one.found.image_ids == image))
    ours, at_once = evaluator.metrics(), evaluate_detections(one.truth, one.found, labels=range(CLASSES))
    assert ours.precision.tobytes() == at_once.precision.tobytes()
    assert ours.scores.tobytes() == at_once.scores.tobytes()


@settings(deadline=None, max_examples=50)
@given(scenes(), st.integers(-(2**40), 2**40))
def test_ids_and_the_scale_of_scores_do_not_matter(one: Scene, shift: int) -> None:
    truth = GroundTruth(
        one.truth.image_ids * 1000 + shift,
        one.truth.labels * 77 - shift,
        one.truth.boxes,
        one.truth.areas,
        one.truth.is_crowd,
        box_format="xywh",
    )
    found = Detections(
        one.found.image_ids * 1000 + shift,
        one.found.labels * 77 - shift,
        one.found.scores * 4 - 1,
        one.found.boxes,
        box_format="xywh",
    )
    same, ours = evaluate_detections(one.truth, one.found), evaluate_detections(truth, found)
    assert ours.precision.tobytes() == same.precision.tobytes()


def test_many_equal_scores_are_ordered_as_few_are() -> None:
    """Above some thousand detections, scores are sorted another way."""
    one = scene(np.random.default_rng(5), 300, 6000, masks=False)
    assert_equal(evaluate_detections(one.truth, one.found, labels=range(CLASSES)), published(one))
