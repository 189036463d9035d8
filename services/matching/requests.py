"""From the wire to problems: every field is checked here, and an error names it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from retinue.common.v1 import geometry_pb2
from retinue.matching.v1 import matching_pb2 as pb
from retinue.ops import Rle, rle_from_string
from retinue.runtime.errors import ImageTooLarge, InvalidInput
from services.matching.assignment import AssignmentProblem, worst_fault
from services.matching.boxes import BoxesProblem, Metric
from services.matching.detr import DetrProblem
from services.matching.instances import InstanceLimits, InstancesProblem, MaskList
from services.matching.label_map import LabelMapFile, open_label_map
from services.matching.packed import ANY, FLOAT, Bounds, PackedFields, check_bounds, numbers, rows_of, scalar
from services.matching.points import PointsProblem
from services.matching.settings import LimitSettings

Message = TypeVar("Message")
Read = TypeVar("Read")

_MODES: Final[Mapping[int, Literal["max", "hovernet"]]] = {
    pb.MATCH_MODE_UNSPECIFIED: "max",
    pb.MATCH_MODE_MAX: "max",
    pb.MATCH_MODE_HOVERNET_COMPAT: "hovernet",
}
_METRICS: Final[Mapping[int, Metric]] = {
    pb.BOX_METRIC_UNSPECIFIED: "iou",
    pb.BOX_METRIC_IOU: "iou",
    pb.BOX_METRIC_GIOU: "giou",
    pb.BOX_METRIC_DIOU: "diou",
    pb.BOX_METRIC_IOS: "ios",
}
_AT_LEAST_0: Final = Bounds(0.0, math.inf)


class RequestReader:
    """Reads problems within limits.

    Args:
        limits: the largest problems that are taken.
    """

    def __init__(self, limits: LimitSettings) -> None:
        self._limits = limits
        self._instance_limits = InstanceLimits(limits.max_cell_count, limits.max_mask_steps, limits.max_overlap_count)

    def problems(self, messages: Sequence[Message], read: Callable[[Message], Read]) -> list[Read]:
        """Return the problems of a request, all of them checked.

        Raises:
            InvalidInput: there are none or too many, or one cannot be used; the field is under ``problems[index]``.
        """
        most = self._limits.max_problem_count
        if not 1 <= len(messages) <= most:
            raise InvalidInput("problems", f"has {len(messages)}; 1 to {most} are allowed", limit=str(most))
        problems = []
        for index, message in enumerate(messages):
            try:
                problems.append(read(message))
            except InvalidInput as error:
                raise error.under(f"problems[{index}]") from error
        return problems

    def points(self, problem: pb.PointsProblem) -> PointsProblem:
        """Return two sets of points.

        Raises:
            InvalidInput: a field cannot be used.
        """
        most = self._limits.max_point_count
        fields = PackedFields(problem)
        a_xy, b_xy = (rows_of(fields, field, 2, "points", most) for field in ("a_xy", "b_xy"))
        if not problem.HasField("radius"):
            raise InvalidInput("radius", "required: the distance up to which points can be paired")
        radius = scalar(problem, "radius", None, _AT_LEAST_0)
        mode = _MODES.get(problem.mode)
        if mode is None:
            raise InvalidInput("mode", f"{problem.mode} is no MatchMode of this version")
        if mode == "hovernet":
            self._check_cells(len(a_xy), len(b_xy), "b_xy", "points")
        return PointsProblem(a_xy, b_xy, radius, mode, self._limits.max_cell_count)

    def boxes(self, problem: pb.BoxesProblem) -> BoxesProblem:
        """Return two sets of boxes.

        Raises:
            InvalidInput: a field cannot be used.
        """
        most = self._limits.max_box_count
        metric = _METRICS.get(problem.metric)
        if metric is None:
            raise InvalidInput("metric", f"{problem.metric} is no BoxMetric of this version")
        fields = PackedFields(problem)
        a_xyxy, b_xyxy = (rows_of(fields, field, 4, "boxes", most) for field in ("a_xyxy", "b_xyxy"))
        check_corners(a_xyxy, "a_xyxy")
        check_corners(b_xyxy, "b_xyxy")
        a_class_ids = self._classes(problem, "a_class_ids", len(a_xyxy))
        b_class_ids = self._classes(problem, "b_class_ids", len(b_xyxy))
        least = 0.0 if metric in ("iou", "ios") else -1.0
        threshold = scalar(problem, "threshold", 0.5, Bounds(least, 1.0))
        read = BoxesProblem(a_xyxy, b_xyxy, a_class_ids, b_class_ids, metric, threshold, self._limits.max_cell_count)
        if read.is_dense:
            self._check_cells(len(a_xyxy), len(b_xyxy), "b_xyxy", "boxes")
        return read

    def instances(self, problem: pb.InstancesProblem) -> InstancesProblem:
        """Return two segmentations of one size, label maps not decoded yet.

        Raises:
            InvalidInput: a field cannot be used.
        """
        a, b = self._instance_set(problem.a, "a"), self._instance_set(problem.b, "b")
        if a is not None and b is not None and a.size != b.size:
            raise InvalidInput("b", f"is {_size(b)} pixels, but a is {_size(a)}; one size is required")
        threshold = scalar(problem, "iou_threshold", 0.5, Bounds(0.0, 1.0, is_open_above=True))
        return InstancesProblem(a, b, threshold, self._instance_limits)

    def assignment(self, problem: pb.AssignmentProblem) -> AssignmentProblem:
        """Return a cost matrix.

        Raises:
            InvalidInput: a field cannot be used.
        """
        if not problem.HasField("cost_matrix"):
            raise InvalidInput("cost_matrix", "required: what each pair costs")
        costs = self._costs(problem.cost_matrix, is_maximized=problem.is_maximized)
        max_cost = scalar(problem, "max_cost", None, ANY) if problem.HasField("max_cost") else None
        return AssignmentProblem(costs, max_cost, problem.is_maximized)

    def detr(self, problem: pb.DetrProblem) -> DetrProblem:
        """Return predictions and targets.

        Raises:
            InvalidInput: a field cannot be used.
        """
        most = self._limits.max_box_count
        class_count = problem.class_count
        if class_count < 1:
            raise InvalidInput("class_count", f"is {class_count}; at least 1 is allowed")
        fields, names = PackedFields(problem), ("boxes_cxcywh_norm", "target_boxes_cxcywh_norm")
        boxes, targets = (rows_of(fields, name, 4, "boxes", most, dtype=FLOAT) for name in names)
        for name, sides in zip(names, (boxes, targets), strict=True):
            if (sides[:, 2:] < 0).any():
                raise InvalidInput(name, "holds a negative width or height")
        probability_count = len(problem.class_probabilities)
        if probability_count != len(boxes) * class_count:
            raise InvalidInput(
                "class_probabilities",
                f"has {probability_count} values, but {len(boxes)} queries of {class_count} classes take "
                f"{len(boxes) * class_count}",
            )
        probabilities = numbers(fields, "class_probabilities", Bounds(0.0, 1.0), dtype=FLOAT)
        class_ids = np.fromiter(problem.target_class_ids, np.int64, len(problem.target_class_ids))
        if len(class_ids) != len(targets):
            raise InvalidInput("target_class_ids", f"has {len(class_ids)} values for {len(targets)} targets")
        check_bounds(class_ids, "target_class_ids", Bounds(0, class_count - 1))
        self._check_cells(len(boxes), len(targets), "target_boxes_cxcywh_norm", "queries and targets")
        return DetrProblem(
            probabilities.reshape(len(boxes), class_count),
            boxes,
            class_ids,
            targets,
            class_weight=scalar(problem, "class_weight", 1.0, _AT_LEAST_0),
            box_weight=scalar(problem, "box_weight", 5.0, _AT_LEAST_0),
            giou_weight=scalar(problem, "giou_weight", 2.0, _AT_LEAST_0),
        )

    def _check_cells(self, row_count: int, column_count: int, field: str, what: str) -> None:
        most = self._limits.max_cell_count
        if row_count * column_count > most:
            problem = f"{row_count} x {column_count} {what} are above the limit of {most} cells"
            raise InvalidInput(field, problem, limit=str(most))

    @staticmethod
    def _classes(problem: pb.BoxesProblem, field: str, count: int) -> NDArray[np.int32] | None:
        class_ids = getattr(problem, field)
        if not problem.is_class_aware:
            if class_ids:
                raise InvalidInput(field, "must be empty unless is_class_aware is set")
            return None
        if len(class_ids) != count:
            raise InvalidInput(field, f"has {len(class_ids)} values for {count} boxes")
        return np.fromiter(class_ids, np.int32, count)

    def _costs(self, matrix: pb.CostMatrix, *, is_maximized: bool) -> NDArray[np.float32]:
        shape = matrix.row_count, matrix.column_count
        for name, count in zip(("row_count", "column_count"), shape, strict=True):
            if count < 0:
                raise InvalidInput(f"cost_matrix.{name}", f"is {count}; at least 0 is allowed")
        self._check_cells(*shape, "cost_matrix", "costs")
        cell_count = shape[0] * shape[1]
        if matrix.raw_costs:
            field = "cost_matrix.raw_costs"
            if matrix.costs:
                raise InvalidInput(field, "together with costs; one of them is allowed")
            if len(matrix.raw_costs) != cell_count * FLOAT.itemsize:
                raise InvalidInput(field, f"has {len(matrix.raw_costs)} bytes; {_cells(shape)} take {4 * cell_count}")
            costs = np.frombuffer(matrix.raw_costs, FLOAT)
        else:
            field = "cost_matrix.costs"
            if len(matrix.costs) != cell_count:
                raise InvalidInput(field, f"has {len(matrix.costs)} values; {_cells(shape)} take {cell_count}")
            costs = PackedFields(matrix).array("costs", FLOAT)
        if fault := worst_fault(costs, is_maximized=is_maximized):
            raise InvalidInput(field, fault)
        return costs.reshape(shape)

    def _instance_set(self, instances: pb.InstanceSet, field: str) -> LabelMapFile | MaskList | None:
        form = instances.WhichOneof("form")
        if form == "label_map_png":
            return open_label_map(instances.label_map_png, self._limits.max_mask_pixels, f"{field}.label_map_png")
        if form == "mask_list":
            return self._mask_list(instances.mask_list.masks, f"{field}.mask_list.masks")
        raise InvalidInput(field, "required: set label_map_png or mask_list")

    def _mask_list(self, masks: Sequence[geometry_pb2.CocoRle], field: str) -> MaskList | None:
        if not masks:
            return None
        read: list[Rle] = []
        for index, mask in enumerate(masks):
            rle = self._mask(mask, f"{field}[{index}]")
            if read and (rle.height, rle.width) != (read[0].height, read[0].width):
                problem = f"is {rle.width} x {rle.height} pixels, but the first is {read[0].width} x {read[0].height}"
                raise InvalidInput(f"{field}[{index}]", problem)
            read.append(rle)
        return MaskList(read)

    def _mask(self, mask: geometry_pb2.CocoRle, field: str) -> Rle:
        most = self._limits.max_mask_pixels
        for name, side in (("height", mask.height), ("width", mask.width)):
            if side < 1:
                raise InvalidInput(f"{field}.{name}", f"is {side}; at least 1 is allowed")
        pixel_count = mask.height * mask.width
        if pixel_count > most:
            problem = f"{mask.width} x {mask.height} pixels are above the limit of {most} pixels"
            raise ImageTooLarge(field, problem, limit=str(most), actual=str(pixel_count))
        try:
            return rle_from_string(mask.counts, mask.height, mask.width)
        except ValueError as error:  # it says what is wrong, and begins with the name of its argument
            raise InvalidInput(f"{field}.counts", str(error).removeprefix("counts: ")) from error


def check_corners(boxes: NDArray[np.float64], field: str) -> None:
    """Raise InvalidInput unless the corners of each box [n, 4] are in order."""
    is_reversed = (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    if is_reversed.any():
        place = int(is_reversed.argmax())
        x_min, y_min, x_max, y_max = boxes[place]
        problem = f"box {place} is reversed: {x_min:g}, {y_min:g}, {x_max:g}, {y_max:g}"
        raise InvalidInput(field, f"{problem}; x_min <= x_max and y_min <= y_max are required")


def _size(side: LabelMapFile | MaskList) -> str:
    height, width = side.size
    return f"{width} x {height}"


def _cells(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]} costs"
