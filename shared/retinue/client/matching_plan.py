"""The kinds of problems that are solved several by one call, and a checked request of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc

from retinue.client.call import Call, plan_call
from retinue.client.errors import CallFailed
from retinue.client.keywords import PlainCallKeywords, check_known
from retinue.client.matching_answers import (
    Assignment,
    BoxesMatching,
    DetrMatching,
    InstancesMatching,
    PointsMatching,
    read_assignment,
    read_boxes,
    read_detr,
    read_instances,
    read_points,
)
from retinue.client.matching_problems import (
    AssignmentProblem,
    BoxesProblem,
    DetrProblem,
    InstancesProblem,
    PointsProblem,
)
from retinue.client.timings import seconds
from retinue.matching.v1 import matching_pb2 as pb

Problem = TypeVar("Problem")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class SolvePlan(Generic[Answer]):
    """A checked request, the call that carries it, and what reads the response."""

    request: Any
    call: Call
    answers: Callable[[Any], Sequence[Any]]
    read_one: Callable[[Any, float], Answer]

    def read(self, response: Any) -> list[Answer]:
        """Return the answer to each problem.

        Raises:
            CallFailed: there are not as many as problems.
        """
        answers, count = self.answers(response), len(self.request.problems)
        if len(answers) != count:
            raise CallFailed(
                grpc.StatusCode.INTERNAL,
                f"the service gave {len(answers)} answers to {count} problems",
                "BATCH_BROKEN",
                request_id=self.call.request_id,
            )
        solve_time_s = seconds(response.solve_time)
        return [self.read_one(answer, solve_time_s) for answer in answers]


@dataclass(frozen=True, slots=True)
class ProblemKind(Generic[Problem, Answer]):
    """One kind of problem.

    Args:
        request: the message of several.
        message: that of one.
        answers: finds those of a response.
        read: makes the value of one, with the seconds that all together took.
    """

    request: Callable[..., Any]
    message: Callable[[Problem], Any]
    answers: Callable[[Any], Sequence[Any]]
    read: Callable[[Any, float], Answer]

    def plan(
        self,
        problems: Sequence[Problem],
        keywords: PlainCallKeywords,
        default_timeout_s: float,
        max_message_bytes: int,
    ) -> SolvePlan[Answer]:
        """Return the plan of a call with these problems and keywords.

        Raises:
            TypeError: there is a keyword that is not one of `PlainCallKeywords`.
            ValueError: a problem or keyword cannot be sent; the message names what.
        """
        check_known(keywords, PlainCallKeywords)
        request = self.request(problems=[self.message(problem) for problem in problems])
        if request.ByteSize() > max_message_bytes:
            raise ValueError(f"the problems have {request.ByteSize()} bytes, at most {max_message_bytes} are sent")
        call = plan_call(default_timeout_s, keywords.get("timeout_s"), keywords.get("request_id"))
        return SolvePlan(request, call, self.answers, self.read)


def _matchings(response: Any) -> Sequence[Any]:
    matchings: Sequence[Any] = response.matchings
    return matchings


def _assignments(response: pb.AssignResponse) -> Sequence[pb.Assignment]:
    return response.assignments


POINTS: ProblemKind[PointsProblem, PointsMatching] = ProblemKind(
    pb.MatchPointsRequest, PointsProblem.message, _matchings, read_points
)
BOXES: ProblemKind[BoxesProblem, BoxesMatching] = ProblemKind(
    pb.MatchBoxesRequest, BoxesProblem.message, _matchings, read_boxes
)
INSTANCES: ProblemKind[InstancesProblem, InstancesMatching] = ProblemKind(
    pb.MatchInstancesRequest, InstancesProblem.message, _matchings, read_instances
)
ASSIGN: ProblemKind[AssignmentProblem, Assignment] = ProblemKind(
    pb.AssignRequest, AssignmentProblem.message, _assignments, read_assignment
)
DETR: ProblemKind[DetrProblem, DetrMatching] = ProblemKind(
    pb.MatchDetrRequest, DetrProblem.message, _matchings, read_detr
)
