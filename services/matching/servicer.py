"""The edge: each RPC reads its problems, has them solved, and writes the answer."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import grpc

from retinue.matching.v1 import matching_pb2 as pb
from retinue.matching.v1 import matching_pb2_grpc
from retinue.runtime.errors import NotSupported
from retinue.serving.call import Call, current_call
from retinue.serving.metrics import Metrics
from services.matching import answers
from services.matching.evaluation_answer import evaluate_response
from services.matching.evaluation_request import EvaluationReader
from services.matching.problem import Matched, Problem
from services.matching.requests import RequestReader
from services.matching.settings import LimitSettings
from services.matching.solver import Solver, check_waits

Message = TypeVar("Message")
Found = TypeVar("Found", bound=Matched)
Matching = TypeVar("Matching")

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
        matchings, solve_s = self._solved("points", request.problems, self._reader.points, answers.points_matching)
        return pb.MatchPointsResponse(matchings=matchings, solve_time=answers.duration(solve_s))

    def MatchBoxes(
        self,
        request: pb.MatchBoxesRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.MatchBoxesResponse:
        """Pair boxes that overlap."""
        matchings, solve_s = self._solved("boxes", request.problems, self._reader.boxes, answers.boxes_matching)
        return pb.MatchBoxesResponse(matchings=matchings, solve_time=answers.duration(solve_s))

    def MatchInstances(
        self,
        request: pb.MatchInstancesRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.MatchInstancesResponse:
        """Pair segmented things and say how good the segmentation is."""
        matchings, solve_s = self._solved(
            "instances", request.problems, self._reader.instances, answers.instances_matching
        )
        return pb.MatchInstancesResponse(matchings=matchings, solve_time=answers.duration(solve_s))

    def Assign(
        self,
        request: pb.AssignRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.AssignResponse:
        """Solve assignment problems given by their cost matrices."""
        assignments, solve_s = self._solved("assign", request.problems, self._reader.assignment, answers.assignment)
        return pb.AssignResponse(assignments=assignments, solve_time=answers.duration(solve_s))

    def MatchDetr(
        self,
        request: pb.MatchDetrRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.MatchDetrResponse:
        """Pair the queries of a detection transformer with targets."""
        matchings, solve_s = self._solved("detr", request.problems, self._reader.detr, answers.detr_matching)
        return pb.MatchDetrResponse(matchings=matchings, solve_time=answers.duration(solve_s))

    def Evaluate(
        self,
        request_iterator: Iterator[pb.EvaluateRequest],
        context: grpc.ServicerContext,  # noqa: ARG002 - gRPC's signature
    ) -> pb.EvaluateResponse:
        """Score detections against the truth over all pictures of the stream."""
        call = current_call()
        reader = EvaluationReader(self._limits, lambda: check_waits(call.caller))
        problem = reader.read(request_iterator)
        solved = self._solver.solve(problem, call.caller)
        solve_s = solved.timings.infer_s
        self._observers["evaluate"].on_scored(solve_s, problem.cell_count)
        call.facts.update(image_count=len(problem.pictures), solve_s=round(solve_s, 6))
        response = evaluate_response(
            solved.outcome, reader.names, len(problem.pictures), are_curves_wanted=reader.are_curves_wanted
        )
        response.solve_time.CopyFrom(answers.duration([solve_s]))
        return response

    def Track(
        self,
        request_iterator: Iterator[pb.TrackRequest],  # noqa: ARG002 - gRPC's signature
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> Iterator[pb.TrackResponse]:
        """Follow things through frames."""
        raise NotSupported("Track is not served by this version")

    def _solved(
        self,
        kind: str,
        messages: Sequence[Message],
        read: Callable[[Message], Problem[Found]],
        answer: Callable[[Found], Matching],
    ) -> tuple[list[Matching], list[float]]:
        """Return the answer to each problem, and the seconds that solving it took."""
        call = current_call()
        solved = self._solver.solve_all(self._reader.problems(messages, read), call.caller)
        observer = self._observers[kind]
        for one in solved:
            pairing = one.outcome.pairing
            observer.on_solved(one.timings.infer_s, len(pairing), len(pairing.unpaired_a), len(pairing.unpaired_b))
        solve_s = [one.timings.infer_s for one in solved]
        _note(call, solve_s, sum(one.timings.queue_s for one in solved))
        return [answer(one.outcome) for one in solved], solve_s


def _note(call: Call, solve_s: Sequence[float], queue_s: float) -> None:
    call.facts.update(problem_count=len(solve_s), queue_s=round(queue_s, 6), solve_s=round(sum(solve_s), 6))
