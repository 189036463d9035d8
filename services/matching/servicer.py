"""The edge: each RPC reads its problems, has them solved, and writes the answer."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration

from retinue.matching.v1 import matching_pb2 as pb
from retinue.matching.v1 import matching_pb2_grpc
from retinue.serving.call import current_call
from retinue.serving.metrics import Metrics
from services.matching import answers
from services.matching.evaluation_answer import evaluate_response
from services.matching.evaluation_request import EvaluationReader
from services.matching.problem import Matched, Problem
from services.matching.requests import RequestReader
from services.matching.settings import LimitSettings
from services.matching.solver import Solved, Solver
from services.matching.track_messages import TrackStream

Message = TypeVar("Message")
Found = TypeVar("Found", bound=Matched)

KINDS: Final = ("points", "boxes", "instances", "assign", "detr", "evaluate")


class MatchingServicer(matching_pb2_grpc.MatchingServiceServicer):
    """Answers the RPCs of `retinue.matching.v1.MatchingService`.

    Args:
        solver: solves problems.
        metrics: where they are counted.
        limits: the largest requests that are taken.
    """

    def __init__(self, solver: Solver, metrics: Metrics, limits: LimitSettings) -> None:
        self._solver = solver
        self._limits = limits
        self._reader = RequestReader(limits)
        self._observers = {kind: metrics.solve_observer(kind) for kind in KINDS}

    def MatchPoints(
        self,
        request: pb.MatchPointsRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.MatchPointsResponse:
        """Pair points that are near each other."""
        response = pb.MatchPointsResponse()
        solved = self._solved("points", request.problems, self._reader.points)
        for one in solved:
            answers.write_points(response.matchings.add(), one.outcome)
        _write_time(response.solve_time, solved)
        return response

    def MatchBoxes(
        self,
        request: pb.MatchBoxesRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.MatchBoxesResponse:
        """Pair boxes that overlap."""
        response = pb.MatchBoxesResponse()
        solved = self._solved("boxes", request.problems, self._reader.boxes)
        for one in solved:
            answers.write_boxes(response.matchings.add(), one.outcome)
        _write_time(response.solve_time, solved)
        return response

    def MatchInstances(
        self,
        request: pb.MatchInstancesRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.MatchInstancesResponse:
        """Pair segmented things and say how good the segmentation is."""
        response = pb.MatchInstancesResponse()
        solved = self._solved("instances", request.problems, self._reader.instances)
        for one in solved:
            answers.write_instances(response.matchings.add(), one.outcome)
        _write_time(response.solve_time, solved)
        return response

    def Assign(
        self,
        request: pb.AssignRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.AssignResponse:
        """Solve assignment problems given by their cost matrices."""
        response = pb.AssignResponse()
        solved = self._solved("assign", request.problems, self._reader.assignment)
        for one in solved:
            answers.write_assignment(response.assignments.add(), one.outcome)
        _write_time(response.solve_time, solved)
        return response

    def MatchDetr(
        self,
        request: pb.MatchDetrRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.MatchDetrResponse:
        """Pair the queries of a detection transformer with targets."""
        response = pb.MatchDetrResponse()
        solved = self._solved("detr", request.problems, self._reader.detr)
        for one in solved:
            answers.write_detr(response.matchings.add(), one.outcome)
        _write_time(response.solve_time, solved)
        return response

    def Evaluate(
        self,
        request_iterator: Iterator[pb.EvaluateRequest],
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.EvaluateResponse:
        """Score detections against the truth over all pictures of the stream."""
        call = current_call()
        reader = EvaluationReader(self._limits)
        problem = reader.read(request_iterator)
        solved = self._solver.solve(problem, call.caller)
        solve_s = solved.timings.infer_s
        self._observers["evaluate"].on_scored(solve_s, problem.cell_count)
        call.facts.update(image_count=len(problem.pictures), solve_s=round(solve_s, 6))
        response = evaluate_response(
            solved.outcome, reader.names, len(problem.pictures), are_curves_wanted=reader.are_curves_wanted
        )
        _write_time(response.solve_time, [solved])
        return response

    def Track(
        self,
        request_iterator: Iterator[pb.TrackRequest],
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> Iterator[pb.TrackResponse]:
        """Follow things through frames; tracks live and die with the stream."""
        call = current_call()
        stream = TrackStream(max_tracks=self._limits.max_track_count, max_boxes=self._limits.max_frame_box_count)
        for request in request_iterator:
            response = stream.answer(request)
            if response is not None:
                call.facts["item_count"] = call.facts.get("item_count", 0) + 1
                yield response

    def _solved(
        self, kind: str, messages: Sequence[Message], read: Callable[[Message], Problem[Found]]
    ) -> list[Solved[Found]]:
        """Return the outcome of each problem."""
        call = current_call()
        solved = self._solver.solve_all(self._reader.problems(messages, read), call.caller)
        observer = self._observers[kind]
        for one in solved:
            pairing = one.outcome.pairing
            observer.on_solved(one.timings.infer_s, len(pairing), len(pairing.unpaired_a), len(pairing.unpaired_b))
        call.facts["problem_count"] = len(solved)
        call.facts["queue_s"] = round(sum([one.timings.queue_s for one in solved]), 6)
        call.facts["solve_s"] = round(sum([one.timings.infer_s for one in solved]), 6)
        return solved


def _write_time(message: Duration, solved: Sequence[Solved[Any]]) -> None:
    message.seconds, message.nanos = divmod(round(sum([one.timings.infer_s for one in solved]) * 1e9), 10**9)
