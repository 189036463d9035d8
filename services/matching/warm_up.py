"""Every kernel used once before the first caller, so that no caller waits for it to be compiled or loaded."""

from itertools import product

import cv2
import numpy as np

from retinue.ops import rle_encode_labels
from services.matching.assignment import AssignmentProblem
from services.matching.boxes import BoxesProblem, Metric
from services.matching.detr import DetrProblem
from services.matching.evaluation import EvaluationOptions, EvaluationPicture, EvaluationProblem
from services.matching.instances import InstanceLimits, InstancesProblem, MaskList
from services.matching.label_map import LabelMapFile, open_label_map
from services.matching.points import PointsProblem

_METRICS: tuple[Metric, ...] = ("iou", "giou", "diou", "ios")
_ROOM = 10_000


def warm_up() -> None:
    """Solve a small problem of each kind, in each of its ways."""
    _warm_up_points()
    _warm_up_boxes()
    _warm_up_instances()
    costs = np.eye(3, dtype=np.float32)
    AssignmentProblem(costs, 0.5, is_maximized=False).solve()
    box, one = np.array([[0.5, 0.5, 0.2, 0.2]]), np.ones((1, 1))
    DetrProblem(one, box, np.zeros(1, np.int64), box, 1.0, 5.0, 2.0).solve()
    _warm_up_evaluation()


def _warm_up_points() -> None:
    # So many points within reach of each other are paired by a matrix, not by a list.
    crowd = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), axis=-1).reshape(-1, 2)
    PointsProblem(crowd, crowd, 1.0, "max", _ROOM).solve()
    PointsProblem(crowd, crowd, 100.0, "max", _ROOM).solve()
    PointsProblem(crowd, crowd, 1.0, "hovernet", _ROOM).solve()


def _warm_up_boxes() -> None:
    boxes, classes = np.array([[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0]]), np.zeros(2, np.int32)
    for metric, threshold in product(_METRICS, (0.5, 0.0)):
        BoxesProblem(boxes, boxes, classes, classes, metric, threshold, _ROOM).solve()


def _warm_up_instances() -> None:
    limits = InstanceLimits(_ROOM, _ROOM, _ROOM)
    sides: list[LabelMapFile | MaskList] = []
    for dtype in (np.uint8, np.uint16):
        labels = np.kron(np.array([[0, 1], [2, 2]], dtype), np.ones((4, 4), dtype))
        file = cv2.imencode(".png", labels)[1].tobytes()
        sides += [open_label_map(file, _ROOM, "a.label_map_png"), MaskList(rle_encode_labels(labels)[1])]
    for a, b in product(sides, sides):
        InstancesProblem(a, b, 0.3, limits).solve()


def _warm_up_evaluation() -> None:
    boxes = np.array([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 40.0, 40.0]])
    ids, areas = np.zeros(2, np.int64), np.array([81.0, 1600.0])
    picture = EvaluationPicture(boxes, ids, areas, np.array([False, True]), boxes, ids, np.array([0.9, 0.8]))
    EvaluationProblem([picture], EvaluationOptions(), 1).solve()
