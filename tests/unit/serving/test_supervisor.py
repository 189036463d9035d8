"""What a supervisor does with its workers: processes of their own, with nothing behind them."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from retinue.serving.link import LinkFailed
from retinue.serving.seat import Condition
from retinue.serving.settings import GrpcSettings, HostSettings, HttpSettings
from retinue.serving.side_port import SidePort
from retinue.serving.supervisor import Supervisor
from tests.unit.serving.in_process import PATIENCE_S


class Watched:
    """A supervisor that runs in a thread, and what is seen of it."""

    def __init__(self, mode: str, count: int, command: list[str] | None = None) -> None:
        settings = HostSettings(
            grpc=GrpcSettings(address="127.0.0.1:0", drain_delay_s=0, grace_s=1),
            http=HttpSettings(address="127.0.0.1:0"),
            workers=count,
        )
        self.supervisor = Supervisor(
            settings, command or [sys.executable, "-m", "tests.unit.serving.tiny_worker", mode]
        )
        self._pool = ThreadPoolExecutor(1)
        self.exit_code = self._pool.submit(self.supervisor.run)

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        end_s = time.monotonic() + 3 * PATIENCE_S
        while not is_so():
            assert time.monotonic() < end_s
            assert not self.exit_code.done(), self.exit_code.result()
            time.sleep(0.01)

    def heard(self) -> dict[str, float]:
        """Return how often the workers heard what, all together."""
        return {
            sample.labels["what"]: sample.value
            for family in self.supervisor._merged.collect()
            for sample in family.samples
            if sample.name == "heard_total"
        }

    def change(self, change: Any, name: str) -> Condition | None:
        return self.supervisor._change(change, name)

    def stop(self) -> int:
        self.supervisor.ask_to_stop()
        code = self.exit_code.result(PATIENCE_S)
        self._pool.shutdown()
        return code


@contextmanager
def watched(mode: str = "good", count: int = 2) -> Iterator[Watched]:
    one = Watched(mode, count)
    try:
        yield one
    finally:
        one.stop()


@pytest.fixture
def one() -> Iterator[Watched]:
    with watched() as it:
        it.wait_until(lambda: it.supervisor.is_ready)
        yield it


def test_it_is_ready_when_all_are_and_until_it_is_told_to_end(one: Watched) -> None:
    assert isinstance(one.supervisor._side_port, SidePort)
    assert one.heard() == {"first": 2}
    assert one.stop() == 0
    assert not one.supervisor.is_ready


def test_what_it_is_told_reaches_all(one: Watched) -> None:
    one.supervisor.ask_to_refresh()
    one.wait_until(lambda: one.heard().get("refresh") == 2)
    assert one.change("load", "m") is None
    assert one.change("unload", "n") is None
    assert (one.heard()["load m"], one.heard()["unload n"]) == (2, 2)


def test_a_condition_comes_back_as_it_was_raised(one: Watched) -> None:
    condition = one.change("load", "nobody")
    assert condition is not None
    assert (condition.error.reason, condition.error.message) == ("MODEL_NOT_FOUND", "no model nobody")
    assert condition.error.metadata == {"model": "nobody", "version": ""}


def test_who_ends_is_replaced_by_one_that_begins_where_the_others_are(one: Watched) -> None:
    one.change("unload", "m")
    one.change("load", "nobody")  # changed nothing, so there is nothing to begin with
    before = one.heard()
    os.kill(one.supervisor._workers[0].pid, signal.SIGKILL)
    one.wait_until(lambda: one.heard().get("replacement") == 1)
    assert one.supervisor.is_ready
    after = one.heard()
    assert {what: after[what] for what in before} == before  # its totals stay
    assert set(after) - set(before) == {"replacement", "begun with unload m"}


def test_a_change_that_ends_all_is_told_and_survived(one: Watched) -> None:
    assert one.change("load", "poison") is None  # nobody is left who could say anything
    one.wait_until(lambda: one.heard().get("begun with load poison") == 2)
    one.wait_until(lambda: one.supervisor.is_ready)


def test_a_fault_of_one_is_not_told_as_success(one: Watched) -> None:
    with pytest.raises(LinkFailed, match="ZeroDivisionError"):
        one.change("load", "fault")
    assert one.change("load", "m") is None  # and holds nobody up


def test_one_that_cannot_be_started_is_tried_again(one: Watched) -> None:
    command, one.supervisor._command = one.supervisor._command, ["/nowhere/python"]
    os.kill(one.supervisor._workers[0].pid, signal.SIGKILL)
    one.wait_until(lambda: one.supervisor._waits_s[0] >= 0.4)  # twice already
    assert one.supervisor.is_ready
    one.supervisor._command = command
    one.wait_until(lambda: one.heard().get("replacement") == 1)


def test_none_serves_where_one_cannot_be_started() -> None:
    one = Watched("good", 2, ["/nowhere/python"])
    assert one.exit_code.result(PATIENCE_S) == 1


def test_who_ends_again_and_again_is_waited_for_longer_each_time(one: Watched) -> None:
    waits = []
    for number in range(1, 4):
        waits.append(one.supervisor._waits_s[0])
        os.kill(one.supervisor._workers[0].pid, signal.SIGKILL)
        one.wait_until(lambda: one.heard().get("replacement") == number)  # noqa: B023 - called at once
    assert waits == [0.1, 0.2, 0.4]


def test_none_serves_where_one_cannot_begin() -> None:
    one = Watched("failing", 3)
    assert one.exit_code.result(3 * PATIENCE_S) == 1
    assert not one.supervisor.is_ready


def test_the_page_tells_of_the_workers(one: Watched) -> None:
    families = text_string_to_metric_families(_page(one))
    samples = {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}
    assert samples["retinue_ready_workers"] == 2
    assert samples["retinue_worker_restarts_total"] == 0
    assert "process_resident_memory_bytes" in samples


def _page(one: Watched) -> str:
    from urllib.request import urlopen  # noqa: PLC0415

    with urlopen(f"http://127.0.0.1:{one.supervisor.http_port}/metrics", timeout=PATIENCE_S) as answer:
        text: str = answer.read().decode()
    return text
