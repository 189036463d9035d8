"""Calls whose message is read before a thread takes them are answered, refused and counted like all others."""

import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from retinue.serving.early_reader import EarlyReader
from retinue.serving.pool import HandlerPool
from tests.unit.serving.in_process import PATIENCE_S, Running, running


class Handlers:
    """What is served; each says in which thread it ran."""

    def __init__(self) -> None:
        self.threads: list[str] = []
        self.is_entered = threading.Event()

    def answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:  # noqa: ARG002 - a handler's signature
        self.threads.append(threading.current_thread().name)
        self.is_entered.set()
        return request[::-1]

    def answers(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:  # noqa: ARG002
        self.threads.append(threading.current_thread().name)
        for place in range(len(request)):
            yield request[place : place + 1]

    @staticmethod
    def read(data: bytes) -> bytes:
        if data == b"no message":
            raise ValueError("damaged")
        return data

    def table(self) -> dict[str, Any]:
        unary: Any = grpc.unary_unary_rpc_method_handler(self.answer, request_deserializer=self.read)
        stream: Any = grpc.unary_stream_rpc_method_handler(self.answers)
        return {"Reverse": unary, "Spell": stream}


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
def served(handlers: Handlers) -> Iterator[Running]:
    with running(handlers.table(), thread_count=2) as one:
        yield one


def test_the_inside_of_grpc_is_as_it_is_known_here() -> None:
    assert EarlyReader.is_possible()


def test_calls_are_answered_in_handler_threads(served: Running, handlers: Handlers) -> None:
    assert served.unary("Reverse")(b"abc", timeout=PATIENCE_S) == b"cba"
    assert list(served.server_stream("Spell")(b"abc", timeout=PATIENCE_S)) == [b"a", b"b", b"c"]
    assert all(name.startswith("handler") for name in handlers.threads)
    assert len(handlers.threads) == 2
    served.pool.wait_ended(2)
    assert served.pool.in_flight == 0


def threads_inside_a_call(pool: HandlerPool) -> list[str]:
    """Return the names of the pool's threads that gRPC's code for a call is running in, or waiting in."""
    frames = sys._current_frames()
    inside = []
    for thread in pool._threads:
        frame = frames.get(thread.ident or 0)
        while frame is not None and not frame.f_code.co_filename.endswith("grpc/_server.py"):
            frame = frame.f_back
        if frame is not None:
            inside.append(thread.name)
    return inside


def test_a_call_whose_message_does_not_come_counts_as_under_way_and_holds_no_thread(
    served: Running, handlers: Handlers
) -> None:
    may_send = threading.Event()

    def late() -> Iterator[bytes]:
        assert may_send.wait(PATIENCE_S)
        yield b"late"

    call = served.client_stream("Reverse").future(late(), timeout=PATIENCE_S)
    while served.pool.in_flight == 0:
        assert served.unary("Reverse")(b"ab", timeout=PATIENCE_S) == b"ba"
        served.pool.wait_ended()
    assert not threads_inside_a_call(served.pool)
    may_send.set()
    assert call.result(PATIENCE_S) == b"etal"
    served.pool.wait_ended()
    assert served.pool.in_flight == 0


def test_a_caller_that_leaves_before_its_message_gives_its_place_back(served: Running, handlers: Handlers) -> None:
    may_end = threading.Event()

    def never() -> Iterator[bytes]:
        may_end.wait(PATIENCE_S)
        return
        yield

    for _ in range(5):
        call = served.client_stream("Reverse").future(never())
        while served.pool.in_flight == 0:
            pass
        call.cancel()
        served.pool.wait_ended()
    may_end.set()
    assert served.unary("Reverse")(b"ab", timeout=PATIENCE_S) == b"ba"
    assert len(handlers.threads) == 1


def test_a_call_without_a_message_is_refused(served: Running) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        served.client_stream("Reverse")(iter(()), timeout=PATIENCE_S)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_message_that_cannot_be_read_is_refused_and_the_next_call_answered(
    served: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        served.unary("Reverse")(b"no message", timeout=PATIENCE_S)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert served.unary("Reverse")(b"ab", timeout=PATIENCE_S) == b"ba"
    served.pool.wait_ended(2)
    assert served.pool.in_flight == 0


def test_a_task_of_another_shape_goes_to_the_pool() -> None:
    with HandlerPool(1) as pool:
        assert EarlyReader(pool).submit(lambda one: one.x, SimpleNamespace(x=3)).result(PATIENCE_S) == 3


def test_an_inside_that_has_changed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grpc._server._receive_message", lambda state, call: None)  # noqa: ARG005
    assert not EarlyReader.is_possible()
