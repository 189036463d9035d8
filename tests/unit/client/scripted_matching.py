"""A matching service on a real port whose answers each test writes itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import duration_pb2

from retinue.common.v1 import geometry_pb2, model_pb2
from retinue.matching.v1 import matching_pb2 as pb
from retinue.matching.v1 import matching_pb2_grpc
from tests.unit.client.scripted_service import Record, listening

PAIRS = pb.Pairs(a=[0, 2], b=[1, 0], unpaired_a=[1], unpaired_b=[2, 3])
SCORES = pb.PairScores(precision=0.5, recall=0.75)
MILLISECOND = duration_pb2.Duration(nanos=1_000_000)

POINTS = pb.PointsMatching(pairs=PAIRS, distances=[0.5, 1.25], scores=SCORES)
BOXES = pb.BoxesMatching(pairs=PAIRS, similarities=[0.5, 0.75], scores=SCORES)
INSTANCES = pb.InstancesMatching(
    pairs=PAIRS, ious=[0.5, 0.75], panoptic_quality=0.25, aji=0.125, dice=0.0, scores=SCORES, a_values=[3, 7, 9]
)
ASSIGNMENT = pb.Assignment(pairs=PAIRS, costs=[0.5, 1.5], total_cost=2.0)
DETR = pb.DetrMatching(pairs=PAIRS, costs=[0.5, 1.5], total_cost=2.0)
LABELS = [model_pb2.Label(id=1, name="coin"), model_pb2.Label(id=4)]
EVALUATION = pb.EvaluateResponse(
    summary=pb.CocoSummary(ap=0.5, ap50=0.75, ap_large=0.0, ar_100=0.625),
    classes=[
        pb.ClassEvaluation(
            label=LABELS[0],
            summary=pb.CocoSummary(ap=0.5),
            truth_count=7,
            detection_count=9,
            sensitivity=0.5,
            curves=[
                pb.PrecisionRecallCurve(iou_threshold=0.5, precisions=[1.0] * 51 + [0.0] * 50, scores=[0.5] * 101),
                pb.PrecisionRecallCurve(iou_threshold=0.75, precisions=[0.5] * 101, scores=[0.25] * 101),
            ],
        ),
        pb.ClassEvaluation(label=LABELS[1], truth_count=0, detection_count=1, specificity=0.25),
    ],
    confusion_matrix=pb.ConfusionMatrix(labels=LABELS, counts=[5, 0, 2, 0, 0, 0, 3, 1, 0]),
    image_count=3,
    solve_time=MILLISECOND,
)


def tracked(request: pb.TrackRequest) -> pb.TrackResponse | None:
    """Return an answer that makes a track of each box; None to options."""
    if request.WhichOneof("message") == "options":
        return None
    frame = request.frame
    corners = [frame.boxes_xyxy_px[start : start + 4] for start in range(0, len(frame.boxes_xyxy_px), 4)]
    return pb.TrackResponse(
        frame_index=frame.frame_index,
        tracks=[
            pb.TrackedBox(
                track_id=index + 1,
                detection_index=index,
                box=geometry_pb2.BoundingBox(x_min=box[0], y_min=box[1], x_max=box[2], y_max=box[3]),
                class_id=7,
                score=frame.scores[index],
                age_frames=frame.frame_index + 1,
            )
            for index, box in enumerate(corners)
        ],
        ended_track_ids=[9],
    )


@dataclass
class ScriptedMatching(Record, matching_pb2_grpc.MatchingServiceServicer):
    """Keeps what it was asked, every message of a stream included, and answers what a test may replace."""

    answers: dict[str, Any] = field(
        default_factory=lambda: {
            "points": POINTS,
            "boxes": BOXES,
            "instances": INSTANCES,
            "assignment": ASSIGNMENT,
            "detr": DETR,
            "evaluation": EVALUATION,
        }
    )
    on_tracked: Callable[[Any], Any] = tracked
    on_pictures: Callable[[Any, grpc.ServicerContext], None] | None = None

    def MatchPoints(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        return pb.MatchPointsResponse(matchings=self._solved("points", request, context), solve_time=MILLISECOND)

    def MatchBoxes(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return pb.MatchBoxesResponse(matchings=self._solved("boxes", request, context), solve_time=MILLISECOND)

    def MatchInstances(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return pb.MatchInstancesResponse(matchings=self._solved("instances", request, context), solve_time=MILLISECOND)

    def Assign(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return pb.AssignResponse(assignments=self._solved("assignment", request, context), solve_time=MILLISECOND)

    def MatchDetr(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return pb.MatchDetrResponse(matchings=self._solved("detr", request, context), solve_time=MILLISECOND)

    def Evaluate(self, request_iterator: Iterator[Any], context: grpc.ServicerContext) -> Any:  # noqa: N802
        for request in request_iterator:
            self.keep(request, context)
            if self.on_pictures is not None:
                self.on_pictures(request, context)
        return self.answers["evaluation"]

    def Track(self, request_iterator: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802
        for request in request_iterator:
            self.keep(request, context)
            response = self.on_tracked(request)
            if response is not None:
                yield response

    def _solved(self, kind: str, request: Any, context: grpc.ServicerContext) -> list[Any]:
        """Return the answer as often as there are problems; a list stands for itself, an exception ends the call."""
        self.keep(request, context)
        answer = self.answers[kind]
        if isinstance(answer, grpc.StatusCode):
            context.abort(answer, "as the test wants it")
        return answer if isinstance(answer, list) else [answer] * len(request.problems)


@dataclass
class RunningMatching:
    """A service that is being served."""

    service: ScriptedMatching
    address: str


@contextmanager
def running_matching() -> Iterator[RunningMatching]:
    """Serve a fresh scripted service on a free port."""
    service = ScriptedMatching()
    add = matching_pb2_grpc.add_MatchingServiceServicer_to_server
    with listening(lambda server: add(service, server), service.released) as address:
        yield RunningMatching(service, address)
