"""Suppression, fusion and merging, and the overlap and decoding of boxes, beside OpenCV's and plain loops."""

import math
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from loadtests.benchmarks.ops.case import Case, MemoryCase
from retinue.ops import decode_boxes, matrix_nms, merge_boxes, nms, pairwise_iou, soft_nms, weighted_boxes_fusion

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ensemble_boxes import weighted_boxes_fusion as authors_fusion

Boxes = NDArray[np.float32]
Scores = NDArray[np.float32]


def cases() -> Iterator[Case | MemoryCase]:
    """Yield the comparisons of everything that is done to sets of boxes."""
    rng = np.random.default_rng(0)
    yield from _suppression(rng)
    yield from _soft_suppression(rng)
    yield from _joining(rng)
    boxes = _spread(1000, rng)
    yield Case(
        "pairwise_iou 1000x1000",
        partial(pairwise_iou, boxes, boxes),
        {"numpy": partial(_numpy_iou, boxes, boxes)},
        target=1.0,
    )
    for classes in (1, 91):
        deltas = rng.normal(0, 1, (1000, 4 * classes)).astype(np.float32)
        yield Case(
            f"decode_boxes 1000x{classes}",
            partial(decode_boxes, deltas, boxes, weights=(10.0, 10.0, 5.0, 5.0)),
            {"numpy": partial(_numpy_decode, deltas, boxes)},
            target=1.0,
        )


def _suppression(rng: np.random.Generator) -> Iterator[Case]:
    for kind, scene in (("spread", _spread), ("clustered", _clustered)):
        for count in (100, 1000, 4741, 20000):
            boxes, scores = scene(count, rng), rng.random(count).astype(np.float32)
            kept = len(nms(boxes, scores, 0.7))
            yield Case(
                f"nms n={count}, {kind}",
                partial(nms, boxes, scores, 0.7),
                {
                    "cv2": partial(cv2.dnn.NMSBoxes, _as_cv2(boxes), scores.tolist(), 0.0, 0.7),
                    "numpy": partial(_numpy_nms, boxes, scores, 0.7),
                    "compiled loop": partial(_compiled_nms, boxes, scores, 0.7),
                },
                target=5.0 if count == 4741 else 1.0,
                rival="cv2",
                note=f"threshold 0.7, {kept} kept; cv2 is given lists, its cheapest form; the loop checks nothing",
            )
    boxes, scores = _spread(20000, rng), rng.random(20000).astype(np.float32)
    yield Case(
        "nms n=20000, best 100",
        partial(nms, boxes, scores, 0.7, max_output=100),
        {"compiled loop": lambda: _compiled_nms(boxes, scores, 0.7, 100)},
        target=1.0,
        note="stops at max_output",
    )
    labels = rng.integers(0, 80, 20000)
    yield Case(
        "nms n=20000, 80 labels",
        partial(nms, boxes, scores, 0.5, labels=labels),
        {"cv2": partial(cv2.dnn.NMSBoxesBatched, _as_cv2(boxes), scores.tolist(), labels.tolist(), 0.0, 0.5)},
        target=1.0,
        note="cv2 shifts coordinates by label",
    )


def _soft_suppression(rng: np.random.Generator) -> Iterator[Case]:
    for count in (100, 1000, 4741):
        boxes, scores = _spread(count, rng), rng.random(count).astype(np.float32)
        whole = [tuple(map(round, box)) for box in _as_cv2(boxes)]
        method = cv2.dnn.SOFT_NMSMETHOD_SOFTNMS_GAUSSIAN
        peers: dict[str, Callable[[], object]] = {
            "numpy": partial(_numpy_soft_nms, boxes, scores, 0.5, 0.001),
            "cv2": partial(cv2.dnn.softNMSBoxes, whole, scores.tolist(), 0.001, 0.0, 0, 0.5, method),
        }
        yield Case(
            f"soft_nms n={count}, gaussian",
            partial(soft_nms, boxes, scores, method="gaussian"),
            peers,
            target=1.0,
            note="cv2 takes whole numbers",
        )
    yield Case("matrix_nms n=500", partial(matrix_nms, boxes[:500], scores[:500]))


def _joining(rng: np.random.Generator) -> Iterator[Case]:
    for count, classes in ((100, 10), (1000, 1)):
        sets: list[list[Any]] = [[], [], []]
        seen = _spread(count, rng) / np.float32(1400)
        labels = rng.integers(0, classes, count)
        for _ in range(4):
            sets[0].append((seen + rng.normal(0, 0.0005, seen.shape)).clip(0, 1).astype(np.float32))
            sets[1].append(rng.random(count).astype(np.float32))
            sets[2].append(labels)
        yield Case(
            f"weighted_boxes_fusion 4x{count}",
            partial(weighted_boxes_fusion, *sets),
            {"ensemble_boxes": partial(authors_fusion, *sets)},
            target=1.0,
            note=f"{classes} labels",
        )
    boxes, scores = _clustered(10_000, rng), rng.random(10_000).astype(np.float32)
    yield Case(
        "merge_boxes n=10000",
        partial(merge_boxes, boxes, scores),
        {"numpy": partial(_numpy_merge, boxes, scores, 0.5)},
        target=1.0,
    )


def _spread(count: int, rng: np.random.Generator) -> Boxes:
    """Return boxes of 8 to 200 pixels all over an image of 1200 x 700: few overlap much."""
    corners = rng.uniform(0, (1200, 700), (count, 2))
    return np.hstack([corners, corners + rng.uniform(8, 200, (count, 2))]).astype(np.float32)


def _clustered(count: int, rng: np.random.Generator) -> Boxes:
    """Return some twenty boxes for each object, as detectors propose them."""
    corners = rng.uniform(0, (1200, 700), (count // 20, 2))
    sizes = rng.uniform(8, 200, (count // 20, 2))
    which = rng.integers(0, count // 20, count)
    corners = corners[which] + sizes[which] * rng.normal(0, 0.08, (count, 2))
    return np.hstack([corners, corners + sizes[which] * np.exp(rng.normal(0, 0.08, (count, 2)))]).astype(np.float32)


def _as_cv2(boxes: Boxes) -> list[tuple[float, ...]]:
    return [tuple(box) for box in np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist()]


def _numpy_overlap(box: Boxes, boxes: Boxes, area: Scores, areas: Scores) -> tuple[Scores, Scores]:
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    inter = np.maximum(width, 0) * np.maximum(height, 0)
    return inter, area + areas - inter


def _numpy_nms(boxes: Boxes, scores: Scores, threshold: float) -> list[int]:
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        inter, union = _numpy_overlap(boxes[best], boxes[order], areas[best], areas[order])
        order = order[inter / union <= threshold]
    return kept


def _compiled_nms(boxes: Boxes, scores: Scores, threshold: float, most: int = 1 << 60) -> Any:
    return _loop(boxes, np.argsort(-scores, kind="stable"), np.float32(threshold), most)


@numba.njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator] # it ships no types
def _loop(boxes: Boxes, order: NDArray[np.int64], threshold: float, most: int) -> NDArray[np.int64]:
    """Return what torchvision's loop on the CPU returns, pair by pair."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    is_dropped = np.zeros(len(boxes), np.bool_)
    kept = np.empty(len(boxes), np.int64)
    count = 0
    for place in range(len(order)):
        i = order[place]
        if is_dropped[i]:
            continue
        if count == most:
            break
        kept[count] = i
        count += 1
        for other in range(place + 1, len(order)):
            j = order[other]
            if is_dropped[j]:
                continue
            width = max(np.float32(0), min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0]))
            height = max(np.float32(0), min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1]))
            inter = width * height
            is_dropped[j] = inter / (areas[i] + areas[j] - inter) > threshold
    return kept[:count]


def _numpy_soft_nms(boxes: Boxes, scores: Scores, sigma: float, least: float) -> tuple[list[int], list[float]]:
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    rest, left = np.arange(len(boxes)), scores.astype(np.float64)
    picked, picked_scores = [], []
    while len(rest):
        place = int(left.argmax())
        best = rest[place]
        picked.append(int(best))
        picked_scores.append(float(left[place]))
        rest, left = np.delete(rest, place), np.delete(left, place)
        inter, union = _numpy_overlap(boxes[best], boxes[rest], areas[best], areas[rest])
        left *= np.exp(-((inter / union) ** 2) / sigma)
        is_left = left >= least
        rest, left = rest[is_left], left[is_left]
    return picked, picked_scores


def _numpy_merge(boxes: Boxes, scores: Scores, threshold: float) -> list[Boxes]:
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = np.argsort(-scores, kind="stable")
    merged = []
    while len(order):
        best = order[0]
        inter, _ = _numpy_overlap(boxes[best], boxes[order], areas[best], areas[order])
        is_taken = inter / np.minimum(areas[best], areas[order]) >= threshold
        group = boxes[order[is_taken]]
        merged.append(np.concatenate([group[:, :2].min(axis=0), group[:, 2:].max(axis=0)]))
        order = order[~is_taken]
    return merged


def _numpy_iou(first: Boxes, second: Boxes) -> NDArray[np.float32]:
    low = np.maximum(first[:, None, :2], second[:, :2])
    high = np.minimum(first[:, None, 2:], second[:, 2:])
    sides = np.maximum(high - low, 0)
    inter = sides[..., 0] * sides[..., 1]
    areas = [(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (first, second)]
    overlap: NDArray[np.float32] = inter / (areas[0][:, None] + areas[1] - inter)
    return overlap


def _numpy_decode(deltas: NDArray[np.float32], anchors: Boxes) -> NDArray[np.float32]:
    sizes = anchors[:, 2:] - anchors[:, :2]
    centres = anchors[:, :2] + np.float32(0.5) * sizes
    parts = deltas.reshape(len(anchors), -1, 4) / np.array([10, 10, 5, 5], np.float32)
    moved = parts[..., :2] * sizes[:, None] + centres[:, None]
    grown = np.exp(np.minimum(parts[..., 2:], np.float32(math.log(1000 / 16)))) * sizes[:, None]
    half = np.float32(0.5) * grown
    return np.concatenate([moved - half, moved + half], axis=-1)
