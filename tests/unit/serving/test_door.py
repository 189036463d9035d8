"""The door: what would be answered too late is refused unread; everything else goes in as ever."""

import math
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from retinue.runtime.caller import Priority
from retinue.serving.door import Door, Inline
from retinue.serving.pool import HandlerPool
from tests.unit.serving.in_process import SERVICE, Running, error_info_of, retry_delay_s, running, status_of

METHOD = f"/{SERVICE}/Ask"
LATE_MS = 250


class House:
    """A server with a door; what the door asks is written down, and what it is told can be set."""

    def __init__(self) -> None:
        self.late_s = 0.0
        self.asked: list[tuple[float, Priority]] = []
        self.handled: list[bytes] = []
        self.deserialized: list[bytes] = []

    def door(self, pool: HandlerPool) -> Door:
        def late_s(left_s: float, priority: Priority) -> float:
            self.asked.append((left_s, priority))
            return self.late_s

        return Door(pool, [METHOD], late_s)

    def answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:  # noqa: ARG002 - a handler's signature
        self.handled.append(request)
        if request == b"fail":
            raise ValueError("a fault")
        return request

    def read(self, data: bytes) -> bytes:
        self.deserialized.append(data)
        return data

    def handlers(self) -> dict[str, Any]:
        handler: Any = grpc.unary_unary_rpc_method_handler(self.answer, request_deserializer=self.read)
        return {"Ask": handler, "Other": handler}


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def served(house: House) -> Iterator[Running]:
    with running(house.handlers(), door=house.door) as one:
        yield one


def refusal(served: Running, **call: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        served.unary("Ask")(b"a" * 100_000, **({"timeout": 20} | call))
    return caught.value


def test_call_that_is_in_time_is_answered(served: Running, house: House) -> None:
    assert served.unary("Ask")(b"a", timeout=20) == b"a"
    ((left_s, priority),) = house.asked
    assert 0 < left_s <= 20.1
    assert priority == "normal"
    assert served.handled("Ask") == {"OK": 1}


def test_call_that_would_be_late_is_refused_unread(served: Running, house: House) -> None:
    house.late_s = LATE_MS / 1e3
    error = refusal(served)
    status = status_of(error)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (error_info_of(status).reason, error_info_of(status).metadata["cause"]) == ("OVERLOADED", "deadline_unmet")
    assert retry_delay_s(status) == LATE_MS / 1e3
    assert (house.handled, house.deserialized) == ([], [])
    assert served.sample("retinue_rejected_total", reason="deadline_unmet") == 1
    assert served.handled("Ask") == {"RESOURCE_EXHAUSTED": 1}
    assert served.pool.in_flight == 0


def test_refusals_do_not_keep_others_out(served: Running, house: House) -> None:
    house.late_s = 1.0
    for _ in range(20):
        refusal(served)
    house.late_s = 0.0
    assert served.unary("Ask")(b"b", timeout=20) == b"b"


def test_priority_is_asked_for(served: Running, house: House) -> None:
    served.unary("Ask")(b"a", timeout=20, metadata=(("x-priority", "high"),))
    served.unary("Ask")(b"a", timeout=20, metadata=(("x-priority", "low"),))
    assert [priority for _, priority in house.asked] == ["high", "normal"]


def test_call_without_deadline_is_let_in(served: Running, house: House) -> None:
    house.late_s = 1.0
    assert served.unary("Ask")(b"a") == b"a"
    assert house.asked == []


def test_method_that_asks_no_model_has_no_door(served: Running, house: House) -> None:
    house.late_s = 1.0
    assert served.unary("Other")(b"a", timeout=20) == b"a"


def test_faults_behind_the_door_are_told_as_ever(served: Running) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        served.unary("Ask")(b"fail", timeout=20)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert served.handled("Ask") == {"INTERNAL": 1}


def test_call_without_a_message_is_told_so(served: Running, house: House) -> None:
    """A stream may end before its first message, and a server cannot see which kind a client thinks it calls."""
    with pytest.raises(grpc.RpcError) as caught:
        served.channel.stream_unary(METHOD)(iter(()), timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert house.handled == []


def test_event_that_tells_no_deadline_passes() -> None:
    """Another version of gRPC may hand over something else: the queue behind the door refuses all the same."""
    with HandlerPool(1) as pool:
        door = Door(pool, [], lambda *_: 1.0)
        events: list[Any] = [None, SimpleNamespace(), SimpleNamespace(call_details=SimpleNamespace(deadline=None))]
        for event in events:
            assert door.submit(lambda *_: threading.current_thread().name, None, event).result().startswith("handler")
        assert door.submit(lambda: threading.current_thread().name).result().startswith("handler")


def test_calls_turned_away_are_logged_together_and_not_one_by_one(served: Running, house: House) -> None:
    house.late_s = 1.0
    with capture_logs() as logs:
        for _ in range(20):
            refusal(served)
    assert {line["event"] for line in logs} == {"calls_turned_away"}
    assert logs[0]["count"] == 1
    assert sum(line["count"] for line in logs) <= 20
    assert served.handled("Ask") == {"RESOURCE_EXHAUSTED": 20}


def test_only_the_thread_that_turns_away_sees_that_it_does() -> None:
    with HandlerPool(1) as pool:
        door = Door(pool, [], lambda *_: 2.5)
        event = SimpleNamespace(call_details=SimpleNamespace(deadline=time.time() + 5.0))
        seen: list[float] = []

        def look(*_: object) -> None:
            seen.append(door.late_s)
            seen.append(pool.submit(lambda: door.late_s).result())

        door.submit(look, None, event)
        assert seen == [2.5, 0.0]
        assert door.late_s == 0.0


def test_call_whose_deadline_has_passed_is_turned_away_whatever_waits() -> None:
    with HandlerPool(1) as pool:
        door = Door(pool, [], lambda *_: 0.0)
        event = SimpleNamespace(call_details=SimpleNamespace(deadline=time.time() - 0.001))
        seen: list[float] = []
        door.submit(lambda *_: seen.append(door.late_s), None, event)
        assert seen == [math.inf]


def test_call_that_is_over_is_told_so(served: Running, house: House) -> None:
    house.late_s = math.inf
    assert refusal(served).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert served.sample("retinue_rejected_total", reason="deadline") == 1
    assert served.handled("Ask") == {"DEADLINE_EXCEEDED": 1}


def test_inline_runs_at_once_in_the_same_thread() -> None:
    assert Inline().submit(lambda a, b: (threading.get_ident(), a, b), 1, b=2).result(0) == (
        threading.get_ident(),
        1,
        2,
    )
