"""Engines that are out of use end; those that are not go on."""

import threading

import pytest

from retinue.runtime.caller import Caller
from retinue.runtime.engine import Engine, EngineSize
from retinue.runtime.retirement import Retirement
from tests.unit.runtime.numbers_read import Ledger, NumberPipeline, Written, manifest_of

PATIENCE_S = 30


def engine_of(pipeline: NumberPipeline | None = None) -> Engine[Written, int]:
    engine = Engine(manifest_of(), pipeline or NumberPipeline(), EngineSize(2, 2, 10, 1000), Ledger())
    engine.start()
    return engine


def is_ended(threads: list[threading.Thread]) -> bool:
    for thread in threads:
        thread.join(PATIENCE_S)
    return not any(thread.is_alive() for thread in threads)


def test_an_engine_ends_when_the_last_who_holds_it_lets_go() -> None:
    retirement = Retirement()
    engine = engine_of()
    threads = engine._threads
    held = [engine, engine]
    retirement.add(engine)
    del engine
    assert held.pop().submit(Written(5), Caller()).wait() == 5
    assert len(retirement) == 1
    assert held[0].submit(Written(6), Caller()).wait() == 6
    held.clear()
    assert is_ended(threads)


def test_what_waits_in_an_engine_is_answered_before_it_ends() -> None:
    gate = threading.Event()
    pipeline = NumberPipeline()
    engine = engine_of(pipeline)
    pipeline.on_run = lambda _: gate.wait(PATIENCE_S)
    tickets = [engine.submit(Written(number), Caller()) for number in range(8)]
    threads, retirement = engine._threads, Retirement()
    retirement.add(engine)
    del engine
    gate.set()
    assert [ticket.wait() for ticket in tickets] == list(range(8))
    assert is_ended(threads)


def test_several_end_each_in_its_time() -> None:
    retirement = Retirement()
    engines = [engine_of() for _ in range(3)]
    threads = [engine._threads for engine in engines]
    for engine in engines:
        retirement.add(engine)
    del engine
    del engines[1]
    assert is_ended(threads[1])
    assert all(thread.is_alive() for thread in threads[0] + threads[2])
    retirement.close(PATIENCE_S)
    assert is_ended(threads[0] + threads[2])


def test_one_that_never_ends_keeps_no_other_from_ending() -> None:
    gate, pipeline, retirement = threading.Event(), NumberPipeline(), Retirement()
    stuck, other = engine_of(pipeline), engine_of()
    pipeline.on_run = lambda _: gate.wait(PATIENCE_S)
    ticket = stuck.submit(Written(5), Caller())
    stuck_threads, threads = stuck._threads, other._threads
    retirement.add(stuck)
    del stuck
    retirement.add(other)
    del other
    assert is_ended(threads)
    assert any(thread.is_alive() for thread in stuck_threads)
    gate.set()
    assert ticket.wait() == 5
    assert is_ended(stuck_threads)


@pytest.mark.parametrize("timeout_s", [None, 30.0])
def test_closing_waits_for_nobody_who_holds_an_engine(timeout_s: float | None) -> None:
    retirement = Retirement()
    engine = engine_of()
    retirement.add(engine)
    retirement.close(timeout_s)
    assert is_ended(engine._threads)
