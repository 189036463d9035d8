"""What is taken for what: matrices of true classes against predicted ones."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import native, number, whole_number
from retinue.ops._coco_matching import dense_ranks, grouped
from retinue.ops._kernel import kernel
from retinue.ops.detection_records import Detections, GroundTruth, boxes_xyxy

Priority = Literal["overlap", "class"]
Crowds = Literal["count", "forgive"]
_PRIORITIES = ("overlap", "class")
_CROWDS = ("count", "forgive")

Counts = NDArray[np.int64]


def confusion_matrix(true: ArrayLike, predicted: ArrayLike, class_count: int) -> Counts:
    """Return how often each true class was taken for each class.

    Args:
        true: integers in [0, class_count), of any shape: labels, or a map of them.
        predicted: the same, of the same shape.
        class_count: C, at least 1. The matrix takes 8 * C**2 bytes.

    Returns:
        (C, C) int64: rows are true classes, columns predicted ones.

    Raises:
        ValueError: the shapes differ, a label is no integer or out of range, or class_count is below 1.

    >>> confusion_matrix([0, 0, 1, 2], [0, 1, 1, 1], 3)
    array([[1, 1, 0],
           [0, 1, 0],
           [0, 1, 0]])
    """
    count = whole_number(class_count, "class_count", at_least=1)
    rows, columns = _classes(true, "true"), _classes(predicted, "predicted")
    if rows.shape != columns.shape:
        raise ValueError(f"predicted: must be {rows.shape} like true, got {columns.shape}")
    if rows.dtype != columns.dtype:
        rows, columns = rows.astype(np.int64, copy=False), columns.astype(np.int64, copy=False)
    matrix = np.zeros((count, count), np.int64)
    if not _count(native(rows).reshape(-1), native(columns).reshape(-1), matrix):
        for labels, name in ((rows, "true"), (columns, "predicted")):
            if not 0 <= int(labels.min()) <= int(labels.max()) < count:
                raise ValueError(f"{name}: must be in [0, {count}), got {labels.min()} to {labels.max()}")
    return matrix


def detection_confusion_matrix(
    truth: GroundTruth,
    detections: Detections,
    class_count: int,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.3,
    priority: Priority = "overlap",
    crowds: Crowds = "count",
) -> Counts:
    """Return how often objects of each class were found as each class, with background as one class more.

    Args:
        truth: boxes of all images, labels in [0, class_count). Ignored objects count like others.
        detections: boxes of all images, labels in [0, class_count).
        class_count: C, at least 1.
        iou_threshold: in [0, 1]; boxes are paired whose IoU exceeds it.
        score_threshold: detections count whose score exceeds it; any number.
        priority: ``"overlap"``, the default: of all pairs in an image, whatever their classes, the one of the greatest
            IoU is made first, then the next of what is left. ``"class"``: pairs of equal classes first, among them by
            IoU.
        crowds: ``"count"``, the default: crowds count like other objects. ``"forgive"``, as COCO: a crowd need not be
            found, and a detection without a partner is left out where a crowd of its class holds more than
            ``iou_threshold`` of it.

    Returns:
        (C + 1, C + 1) int64: rows are true classes, columns found ones. The last column holds objects that were missed,
        the last row detections of nothing.

    Raises:
        ValueError: a label or threshold is out of range, there are no boxes, or priority or crowds is unknown.

    Notes:
        Pairs of equal IoU come by lowest object, then by lowest detection.

    Source:
        supervision's ConfusionMatrix, whose defaults these are. It went by overlap first and later by class. Its first
        form leaves a detection alone whose best object was taken by a better one; here that may get its second best.

    >>> truth = GroundTruth(image_ids=[0, 0], labels=[0, 1], boxes=[[0, 0, 4, 4], [6, 6, 9, 9]])
    >>> found = Detections(image_ids=[0, 0], labels=[1, 0], scores=[0.9, 0.8], boxes=[[0, 0, 4, 4], [20, 20, 22, 22]])
    >>> detection_confusion_matrix(truth, found, 2)
    array([[0, 1, 0],
           [0, 0, 1],
           [1, 0, 0]])
    """
    count = whole_number(class_count, "class_count", at_least=1)
    least_iou = number(iou_threshold, "iou_threshold", at_least=0, at_most=1)
    least_score = number(score_threshold, "score_threshold")
    if priority not in _PRIORITIES:
        raise ValueError(f"priority: must be one of {', '.join(_PRIORITIES)}, got {priority!r}")
    for name, records in (("truth", truth), ("detections", detections)):
        labels = records.labels
        if records.boxes is None:
            raise ValueError(f"{name}: must have boxes, got masks only")
        if labels.size and not 0 <= labels.min() <= labels.max() < count:
            raise ValueError(f"{name}: labels must be in [0, {count}), got {labels.min()} to {labels.max()}")
    if crowds not in _CROWDS:
        raise ValueError(f"crowds: must be one of {', '.join(_CROWDS)}, got {crowds!r}")
    is_object = np.ones(len(truth), np.bool_)
    if crowds == "forgive" and truth.is_crowd is not None:
        is_object = ~truth.is_crowd
    there, gathered = _rows(truth, is_object), _rows(truth, ~is_object)
    seen = _rows(detections, detections.scores > least_score)
    objects, found, ious = _pairs_of(there, seen, least_iou, of_detection=False)
    keys = [found, objects, -ious]
    if priority == "class":
        keys.append(there.labels[objects] != seen.labels[found])
    order = np.lexsort(keys)
    partners = np.full(len(there.labels), -1, np.int64)
    is_paired = np.zeros(len(seen.labels), np.bool_)
    _pair_in_order(objects[order], found[order], partners, is_paired)
    named = np.where(partners < 0, count, np.append(seen.labels, count)[partners])
    is_false = ~is_paired
    if len(gathered.labels):
        objects, found, _ = _pairs_of(gathered, seen, least_iou, of_detection=True)
        is_false[found[gathered.labels[objects] == seen.labels[found]]] = False
    return confusion_matrix(
        np.concatenate([there.labels, np.full(np.count_nonzero(is_false), count)]),
        np.concatenate([named, seen.labels[is_false]]),
        count + 1,
    )


def sensitivity(matrix: ArrayLike) -> NDArray[np.float64]:
    """Return the share of each class that is recognised, ``TP / (TP + FN)``: recall.

    Args:
        matrix: (..., C, C) counts, at least 0, rows true and columns predicted. Two kinds make the matrix
            ``[[TN, FP], [FN, TP]]``, and the positive kind is class 1.

    Returns:
        (..., C) float64 in [0, 1]; NaN, without a warning, for a class that is never there: 0 / 0.

    Raises:
        ValueError: it is no such matrix.

    >>> sensitivity([[50, 10], [5, 15]])
    array([0.83333333, 0.75      ])
    """
    counts = _matrix(matrix)
    found = counts.diagonal(axis1=-2, axis2=-1)
    return _share(found, counts.sum(axis=-1))


def specificity(matrix: ArrayLike) -> NDArray[np.float64]:
    """Return the share of all other classes that is not taken for each class, ``TN / (TN + FP)``.

    Args:
        matrix: (..., C, C) counts, at least 0, rows true and columns predicted. Two kinds make the matrix
            ``[[TN, FP], [FN, TP]]``, and the positive kind is class 1.

    Returns:
        (..., C) float64 in [0, 1]; NaN, without a warning, where nothing else is ever there: 0 / 0.

    Raises:
        ValueError: it is no such matrix.

    >>> specificity([[50, 10], [5, 15]])
    array([0.75      , 0.83333333])
    """
    counts = _matrix(matrix)
    found = counts.diagonal(axis1=-2, axis2=-1)
    others = counts.sum(axis=(-2, -1))[..., None] - counts.sum(axis=-1)
    return _share(others - (counts.sum(axis=-2) - found), others)


class _Rows(NamedTuple):
    """Some of the objects or detections."""

    image_ids: Counts
    labels: Counts
    boxes: NDArray[np.float64]


def _rows(records: GroundTruth | Detections, is_kept: NDArray[np.bool_]) -> _Rows:
    return _Rows(records.image_ids[is_kept], records.labels[is_kept], boxes_xyxy(records)[is_kept])


def _pairs_of(
    truth: _Rows, seen: _Rows, threshold: float, *, of_detection: bool
) -> tuple[Counts, Counts, NDArray[np.float64]]:
    image_count, truth_images, images = dense_ranks(truth.image_ids, seen.image_ids)
    return _pairs_above(
        grouped(None, truth_images, image_count), truth_images, truth.boxes,
        grouped(None, images, image_count), images, seen.boxes, threshold, of_detection,
    )  # fmt: skip


def _classes(labels: ArrayLike, name: str) -> NDArray[np.integer]:
    array = np.asarray(labels)
    if array.size == 0 and array.dtype.kind == "f":  # what an empty list becomes
        array = array.astype(np.int64)
    if array.dtype.kind not in "biu":
        raise ValueError(f"{name}: must be integers, got dtype {array.dtype}")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{name}: must fit int64, got {array.max()}")
    if array.dtype.itemsize == 1 and array.dtype.kind in "bu":
        return array.view(np.uint8)  # maps of classes are mostly bytes
    return array.astype(np.int64, copy=False)


def _matrix(matrix: ArrayLike) -> NDArray[np.float64]:
    counts = np.asarray(matrix)
    if counts.ndim < 2 or counts.shape[-1] != counts.shape[-2] or counts.dtype.kind not in "biuf":
        raise ValueError(f"matrix: must be (..., C, C) counts, got {counts.shape} {counts.dtype}")
    values = counts.astype(np.float64, copy=False)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError("matrix: must be finite counts of at least 0")
    return values


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return shares


@kernel("(u1[::1], u1[::1], i8[:,::1])", "(i8[::1], i8[::1], i8[:,::1])")
def _count(rows: NDArray[np.integer], columns: NDArray[np.integer], matrix: Counts) -> bool:
    """Count the pairs; return whether all were in range."""
    size = len(matrix)
    for i in range(rows.size):
        row, column = np.int64(rows[i]), np.int64(columns[i])
        if row < 0 or row >= size or column < 0 or column >= size:
            return False
        matrix[row, column] += 1
    return True


@kernel("(i8[::1], i8[::1], f8[:,::1], i8[::1], i8[::1], f8[:,::1], f8, b1)")
def _pairs_above(  # noqa: PLR0913, PLR0917, kernels take no objects
    truth_order: Counts,
    truth_images: Counts,
    truth_boxes: NDArray[np.float64],
    order: Counts,
    images: Counts,
    boxes: NDArray[np.float64],
    threshold: float,
    of_detection: bool,  # noqa: FBT001, kernels take no keywords
) -> tuple[Counts, Counts, NDArray[np.float64]]:
    """Return the objects and detections of one image each whose IoU exceeds a threshold, and the IoU.

    Or, if ``of_detection``, the share of the detection that lies in the object.
    """
    objects, found, ious = np.empty(64, np.int64), np.empty(64, np.int64), np.empty(64)
    count = 0
    first = 0
    for g in truth_order:
        while first < order.size and images[order[first]] < truth_images[g]:
            first += 1
        at = first
        while at < order.size and images[order[at]] == truth_images[g]:
            d = order[at]
            at += 1
            width = min(boxes[d, 2], truth_boxes[g, 2]) - max(boxes[d, 0], truth_boxes[g, 0])
            height = min(boxes[d, 3], truth_boxes[g, 3]) - max(boxes[d, 1], truth_boxes[g, 1])
            if not (width > 0 and height > 0):
                continue
            shared = width * height
            own = _area(boxes[d])
            iou = shared / (own if of_detection else own + _area(truth_boxes[g]) - shared)
            if iou > threshold:
                if count == objects.size:
                    room = np.empty(count, np.int64)
                    objects, found = np.concatenate((objects, room)), np.concatenate((found, room))
                    ious = np.concatenate((ious, np.empty(count)))
                objects[count], found[count], ious[count] = g, d, iou
                count += 1
    return objects[:count], found[:count], ious[:count]


@kernel()
def _area(box: NDArray[np.float64]) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


@kernel("(i8[::1], i8[::1], i8[::1], b1[::1])")
def _pair_in_order(objects: Counts, found: Counts, partners: Counts, is_paired: NDArray[np.bool_]) -> None:
    """Make each pair whose object and detection are both free still."""
    for i in range(objects.size):
        if partners[objects[i]] < 0 and not is_paired[found[i]]:
            partners[objects[i]] = found[i]
            is_paired[found[i]] = True
