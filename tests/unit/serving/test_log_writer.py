"""Lines are written in order, soon, and never lost but for a reader that does not read."""

import io
import json
import select
import threading

from retinue.serving import log_writer
from retinue.serving.log_writer import LogWriter


class SignallingFile(io.StringIO):
    """A file that says when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.is_written = threading.Event()

    def flush(self) -> None:
        super().flush()
        self.is_written.set()


class StuckFile(SignallingFile):
    """A file whose reader does not read until told to."""

    def __init__(self) -> None:
        super().__init__()
        self.is_entered = threading.Event()
        self.may_go_on = threading.Event()

    def write(self, text: str) -> int:
        self.is_entered.set()
        self.may_go_on.wait(10)
        return super().write(text)


def test_a_line_is_written_without_anyone_asking() -> None:
    file = SignallingFile()
    writer = LogWriter(file)
    writer.info("first")
    assert file.is_written.wait(10)
    assert file.getvalue() == "first\n"
    writer.close()


def test_lines_keep_their_order_and_close_writes_what_waits() -> None:
    file = io.StringIO()
    writer = LogWriter(file, gather_s=60)
    for number in range(1000):
        writer.info(str(number))
    writer.close()
    assert file.getvalue().split() == [str(number) for number in range(1000)]


def test_lines_after_close_are_written_at_once() -> None:
    file = io.StringIO()
    writer = LogWriter(file)
    writer.close()
    writer.error("late")
    assert file.getvalue() == "late\n"


def test_a_stuck_reader_costs_lines_and_not_memory() -> None:
    file = StuckFile()
    writer = LogWriter(file, gather_s=0)
    writer.info("first")
    assert file.is_entered.wait(10)  # the writer is stuck now
    for _ in range(log_writer.MAX_WAITING_LINES + 5):
        writer.info("more")
    file.may_go_on.set()
    writer.close()
    lines = file.getvalue().splitlines()
    assert len(lines) == 1 + log_writer.MAX_WAITING_LINES + 1
    (lost,) = [json.loads(line) for line in lines if "log_lines_lost" in line]
    assert lost["count"] == 5


class Portions(SignallingFile):
    """A file that keeps what was written at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.portions: list[str] = []

    def write(self, text: str) -> int:
        self.portions.append(text)
        return super().write(text)


def test_lines_are_written_in_portions_that_no_other_process_can_come_between() -> None:
    """A pipe takes so many bytes as one; a longer line is alone."""
    file = Portions()
    writer = LogWriter(file)
    lines = [f"{number} {'é' * number}" for number in range(200)] + ["x" * 10_000, "last"]
    for line in lines:
        writer.info(line)
    writer.close()
    assert file.getvalue() == "".join(f"{line}\n" for line in lines)
    assert all(portion.endswith("\n") for portion in file.portions)
    large = [portion for portion in file.portions if len(portion.encode()) > select.PIPE_BUF]
    assert large == [f"{'x' * 10_000}\n"]
    assert len(file.portions) < len(lines) / 2


def test_a_line_that_cannot_be_rendered_is_told_of_and_ends_no_other() -> None:
    file = SignallingFile()
    writer = LogWriter(file, gather_s=0.01, render=json.dumps)
    writer.msg({"event": "first", "facts": {("a", "b"): 1}})  # no key of JSON's
    assert file.is_written.wait(10)
    file.is_written.clear()
    writer.msg({"event": "second"})
    assert file.is_written.wait(10), "the writer's thread has ended"
    writer.close()

    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert lines[0] == {"event": "log_line_broken", "level": "error", "line": "first", "problem": "TypeError"}
    assert lines[1:] == [{"event": "second"}]
