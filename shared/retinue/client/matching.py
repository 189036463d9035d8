"""The blocking client of the matching service."""

from collections.abc import Generator, Iterable, Sequence
from functools import cached_property
from typing import Any, TypeVar, Unpack, cast

from numpy.typing import ArrayLike

from retinue.client.call import plan_call
from retinue.client.evaluation_answer import Evaluation, read_evaluation
from retinue.client.evaluation_request import EvaluateKeywords, EvaluationImage, evaluate_messages, evaluation_options
from retinue.client.keywords import PlainCallKeywords
from retinue.client.matching_answers import (
    Assignment,
    BoxesMatching,
    DetrMatching,
    InstancesMatching,
    PointsMatching,
)
from retinue.client.matching_plan import ASSIGN, BOXES, DETR, INSTANCES, POINTS, ProblemKind
from retinue.client.matching_problems import (
    AssignmentProblem,
    BoxesProblem,
    BoxMetric,
    DetrProblem,
    InstancesProblem,
    MatchMode,
    PointsProblem,
)
from retinue.client.segmented import InstanceSource
from retinue.client.service_client import ServiceClient
from retinue.client.stream import DEFAULT_MAX_IN_FLIGHT, stream_in_order
from retinue.client.tracking_answer import TrackedFrame, read_tracked_frame
from retinue.client.tracking_request import TrackFrame, TrackKeywords, track_options
from retinue.matching.v1 import matching_pb2_grpc

Problem = TypeVar("Problem")
Answer = TypeVar("Answer")


class MatchingClient(ServiceClient):
    """Asks a matching service who belongs to whom; made and closed as `ServiceClient` says.

    In every problem, ``a`` is the reference (truth, rows, the earlier) and ``b`` is what is compared with it. Keywords
    of every method: ``timeout_s``, ``request_id``. Each method that solves one problem has another that solves several,
    independent of each other, by one call.
    """

    def match_points(
        self,
        a: ArrayLike,
        b: ArrayLike,
        radius: float,
        *,
        mode: MatchMode | None = None,
        **keywords: Unpack[PlainCallKeywords],
    ) -> PointsMatching:
        """Return pairs of points that are near each other; arguments as `PointsProblem`.

        Raises:
            CallFailed: the service refused it or could not be reached in time.
            TypeError: there is no such keyword.
            ValueError: an argument cannot be sent.
        """
        return self.match_points_batch([PointsProblem(a, b, radius, mode)], **keywords)[0]

    def match_points_batch(
        self, problems: Sequence[PointsProblem], **keywords: Unpack[PlainCallKeywords]
    ) -> list[PointsMatching]:
        """Return the pairs of each problem; raises as `match_points`."""
        return self._solve(self._stub.MatchPoints, POINTS, problems, keywords)

    def match_boxes(
        self,
        a: ArrayLike,
        b: ArrayLike,
        threshold: float | None = None,
        *,
        metric: BoxMetric | None = None,
        a_class_ids: ArrayLike | None = None,
        b_class_ids: ArrayLike | None = None,
        **keywords: Unpack[PlainCallKeywords],
    ) -> BoxesMatching:
        """Return pairs of boxes that overlap; arguments as `BoxesProblem`, raises as `match_points`."""
        problem = BoxesProblem(a, b, threshold, metric, a_class_ids, b_class_ids)
        return self.match_boxes_batch([problem], **keywords)[0]

    def match_boxes_batch(
        self, problems: Sequence[BoxesProblem], **keywords: Unpack[PlainCallKeywords]
    ) -> list[BoxesMatching]:
        """Return the pairs of each problem; raises as `match_points`."""
        return self._solve(self._stub.MatchBoxes, BOXES, problems, keywords)

    def match_instances(
        self,
        a: InstanceSource,
        b: InstanceSource,
        iou_threshold: float | None = None,
        **keywords: Unpack[PlainCallKeywords],
    ) -> InstancesMatching:
        """Return how like two segmentations are; arguments as `InstancesProblem`, raises as `match_points`."""
        return self.match_instances_batch([InstancesProblem(a, b, iou_threshold)], **keywords)[0]

    def match_instances_batch(
        self, problems: Sequence[InstancesProblem], **keywords: Unpack[PlainCallKeywords]
    ) -> list[InstancesMatching]:
        """Return how like the two segmentations of each problem are; raises as `match_points`."""
        return self._solve(self._stub.MatchInstances, INSTANCES, problems, keywords)

    def assign(
        self,
        cost: ArrayLike,
        *,
        max_cost: float | None = None,
        maximize: bool = False,
        **keywords: Unpack[PlainCallKeywords],
    ) -> Assignment:
        """Return the pairs of rows and columns that cost least; arguments as `AssignmentProblem`.

        Raises as `match_points`.
        """
        return self.assign_batch([AssignmentProblem(cost, max_cost, maximize)], **keywords)[0]

    def assign_batch(
        self, problems: Sequence[AssignmentProblem], **keywords: Unpack[PlainCallKeywords]
    ) -> list[Assignment]:
        """Return the pairs of each problem; raises as `match_points`."""
        return self._solve(self._stub.Assign, ASSIGN, problems, keywords)

    def match_detr(
        self,
        class_probabilities: ArrayLike,
        boxes: ArrayLike,
        target_class_ids: ArrayLike,
        target_boxes: ArrayLike,
        *,
        class_weight: float | None = None,
        box_weight: float | None = None,
        giou_weight: float | None = None,
        **keywords: Unpack[PlainCallKeywords],
    ) -> DetrMatching:
        """Return the query of each target, as DETR's training takes it; arguments as `DetrProblem`.

        Raises as `match_points`.
        """
        problem = DetrProblem(
            class_probabilities, boxes, target_class_ids, target_boxes, class_weight, box_weight, giou_weight
        )
        return self.match_detr_batch([problem], **keywords)[0]

    def match_detr_batch(
        self, problems: Sequence[DetrProblem], **keywords: Unpack[PlainCallKeywords]
    ) -> list[DetrMatching]:
        """Return the pairs of each problem; raises as `match_points`."""
        return self._solve(self._stub.MatchDetr, DETR, problems, keywords)

    def evaluate(self, images: Iterable[EvaluationImage], **keywords: Unpack[EvaluateKeywords]) -> Evaluation:
        """Return COCO's figures, curves and the confusion matrix of detections on any number of pictures.

        Pictures are taken from ``images`` in another thread as they are sent, in messages of about a MiB. The deadline
        is that of a stream unless ``timeout_s`` names one, since the more pictures the longer it takes.

        Raises:
            CallFailed: the service refused a picture or could not be reached in time.
            Exception: whatever ``images`` raised.
            TypeError: there is no such keyword.
            ValueError: a picture or a keyword cannot be sent.
        """
        options = evaluation_options(keywords)
        call = plan_call(self._stream_timeout_s, keywords.get("timeout_s"), keywords.get("request_id"))
        messages = evaluate_messages(images, options, self._max_message_bytes)
        return read_evaluation(self._call_with_all(self._stub.Evaluate, messages, call))

    def track(
        self,
        frames: Iterable[TrackFrame],
        *,
        max_in_flight: int = DEFAULT_MAX_IN_FLIGHT,
        **keywords: Unpack[TrackKeywords],
    ) -> Generator[TrackedFrame]:
        """Yield the tracks of each frame, in their order, over one stream; they live as long as it.

        Another thread takes from ``frames``, never more than ``max_in_flight`` ahead of what has been yielded; an
        endless source is fine. ``timeout_s`` is the longest wait for the next answer; the stream as a whole ends after
        the client's ``stream_timeout_s``. Closing the iterator cancels the call.

        Raises:
            CallFailed: the service refused a frame, or the stream failed; frames without an answer have none.
            Exception: whatever ``frames`` raised.
            TypeError: there is no such keyword.
            ValueError: a frame or a keyword cannot be sent, or ``max_in_flight`` is below 1.
        """
        opening = track_options(keywords)
        if max_in_flight < 1:
            raise ValueError(f"max_in_flight is {max_in_flight}, must be at least 1")
        answers = stream_in_order(
            self._stub.Track,
            frames,
            build=TrackFrame.message,
            read=read_tracked_frame,
            call=plan_call(self._timeout_s, keywords.get("timeout_s"), keywords.get("request_id")),
            stream_timeout_s=self._stream_timeout_s,
            max_in_flight=max_in_flight,
            opening=[opening],
        )
        return cast("Generator[TrackedFrame]", answers)  # no frame is refused in its place: building it raises

    @cached_property
    def _stub(self) -> matching_pb2_grpc.MatchingServiceStub:
        return matching_pb2_grpc.MatchingServiceStub(self._channel)

    def _solve(
        self,
        method: Any,
        kind: ProblemKind[Problem, Answer],
        problems: Sequence[Problem],
        keywords: PlainCallKeywords,
    ) -> list[Answer]:
        if not problems:
            return []
        plan = kind.plan(problems, keywords, self._timeout_s, self._max_message_bytes)
        return plan.read(self._call(method, plan.request, plan.call))
