"""Locust's users: one class per service, each making the calls of the scenario's mix, in a closed or an open loop."""

import itertools
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import gevent
import gevent.pool
import grpc
from locust import User, task
from locust.exception import StopUser

from loadtests.load.arrivals import due_times
from loadtests.load.samples import INCOMPLETE, OK, Sample
from loadtests.load.scenario import Scenario, Service
from loadtests.load.served_call import ServedCall


@dataclass(slots=True)
class Run:
    """What all users of one run share.

    Args:
        scenario: what is done.
        calls: of each service, by kind.
        begin_s: when the run began, on the monotonic clock; set by the first user.
    """

    scenario: Scenario
    calls: Mapping[Service, Mapping[str, ServedCall]]
    begin_s: float | None = None
    samples: list[Sample] = field(default_factory=list)
    is_saturated: bool = False
    outstanding: gevent.pool.Group = field(default_factory=gevent.pool.Group)
    user_numbers: Iterator[int] = field(default_factory=itertools.count)

    def now_s(self) -> float:
        """Return the seconds since the run began."""
        if self.begin_s is None:
            self.begin_s = time.monotonic()
        return time.monotonic() - self.begin_s


class ServiceUser(User):
    """A caller of one service."""

    abstract = True
    service: ClassVar[Service]
    run_state: ClassVar[Run]

    def on_start(self) -> None:
        """Draw this user's own chances, from the scenario's seed and the user's number."""
        run = self.run_state
        number = next(run.user_numbers)
        self._chance = random.Random(f"{self.service} {run.scenario.seed} {number}")  # noqa: S311 - no secret
        weights = run.scenario.mix[self.service]
        self._kinds, self._weights = list(weights), list(weights.values())
        load = run.scenario.load
        chance = random.Random(f"arrivals {self.service} {run.scenario.seed}")  # noqa: S311
        by_chance = chance if load.arrivals == "poisson" else None
        self._due_times = due_times(load.stages, run.scenario.share(self.service), by_chance)
        run.now_s()

    @task
    def call(self) -> None:
        """Make the next call: in a closed loop now, and wait for it; in an open loop when it is due, and go on."""
        run = self.run_state
        (kind,) = self._chance.choices(self._kinds, self._weights)
        call = run.calls[self.service][kind]
        if run.scenario.load.loop == "closed":
            self._measure(call, self._chance.randrange(len(call.requests)), run.now_s())
            return
        due_s = next(self._due_times, None)
        if due_s is None:
            raise StopUser
        gevent.sleep(max(0.0, due_s - run.now_s()))
        if len(run.outstanding) >= run.scenario.load.max_outstanding:
            run.is_saturated = True  # said once, at the end; the run goes on, so that one sees how
            return
        run.outstanding.spawn(self._measure, call, self._chance.randrange(len(call.requests)), due_s)

    def _measure(self, call: ServedCall, index: int, due_s: float) -> None:
        run = self.run_state
        request, wanted_count = call.requests[index]
        sent_s = run.now_s()
        answered_count = 0
        error: Exception | None = None
        try:
            answered_count = call.send(request, run.scenario.deadline_s)
            code = OK if answered_count == wanted_count else INCOMPLETE
        except grpc.RpcError as failure:
            error, code = failure, failure.code().name
        end_s = run.now_s()
        run.samples.append(Sample(call.name, due_s, end_s - due_s, end_s - sent_s, code, answered_count))
        if code == INCOMPLETE:
            error = ValueError(f"{answered_count} of {wanted_count} items were answered")
        self.environment.events.request.fire(
            request_type="grpc",
            name=call.name,
            response_time=1e3 * (end_s - due_s),
            response_length=0,
            exception=error,
            context={},
        )


class ClassificationUser(ServiceUser):
    """Sends pictures to be named."""

    service = "classification"


class DetectionUser(ServiceUser):
    """Sends pictures on which things are to be found."""

    service = "detection"


class SegmentationUser(ServiceUser):
    """Sends pictures to be cut into regions, and slides."""

    service = "segmentation"


class MatchingUser(ServiceUser):
    """Sends points, boxes and evaluations."""

    service = "matching"


USERS: Sequence[type[ServiceUser]] = (ClassificationUser, DetectionUser, SegmentationUser, MatchingUser)


def users_of(run: Run) -> Sequence[type[ServiceUser]]:
    """Return the classes of users that a run needs, weighted as its mix; an open loop has one user per service."""
    scenario = run.scenario
    chosen = []
    for user in USERS:
        if user.service not in scenario.mix:
            continue
        facts: dict[str, object] = {"run_state": run, "weight": scenario.share(user.service)}
        if scenario.load.loop == "open":
            facts["fixed_count"] = 1
        chosen.append(type(user.__name__, (user,), facts))
    return chosen
