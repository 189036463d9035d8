"""The log as it stands on stdout."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
import structlog

from retinue.serving.logs import configure_logs, log_settings
from retinue.serving.settings import LogSettings, ServiceSettings

Configure = Callable[..., Any]
SECRET = "hunter2"  # noqa: S105 - what must not get out


class Terminal(io.StringIO):
    """A stdout that says whether it is a terminal."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.fixture
def stdout() -> Terminal:
    return Terminal(is_terminal=False)


@pytest.fixture(autouse=True)
def _defaults_come_back() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def written(
    stdout: Terminal,
    log: Callable[[Any], object],
    level: Literal["debug", "info", "warning", "error"] = "info",
    kind: Literal["auto", "json", "pretty"] = "json",
    **facts: object,
) -> str:
    """Return what stands on stdout after something was logged."""
    with redirect_stdout(stdout):
        configure_logs(LogSettings(level=level, format=kind), **facts)
    log(structlog.get_logger("test"))
    structlog.get_config()["logger_factory"]().close()
    return stdout.getvalue()


def test_facts_of_the_process_stand_in_every_line(stdout: Terminal) -> None:
    line = json.loads(written(stdout, lambda log: log.info("model_loaded", model="digits"), worker=3))
    assert (line["worker"], line["model"]) == (3, "digits")


def test_a_line_is_one_json_object_with_its_facts(stdout: Terminal) -> None:
    line = json.loads(written(stdout, lambda log: log.info("model_loaded", model="digits", seconds=1.5)))
    said_at = datetime.fromisoformat(line.pop("timestamp"))
    assert said_at.tzinfo == UTC
    assert line == {"event": "model_loaded", "level": "info", "model": "digits", "seconds": 1.5}


@pytest.mark.parametrize(
    ("level", "expected"),
    [("debug", ["d", "i", "w", "e"]), ("info", ["i", "w", "e"]), ("warning", ["w", "e"]), ("error", ["e"])],
)
def test_lines_below_the_level_are_left_out(stdout: Terminal, level: Any, expected: list[str]) -> None:
    def log_all(log: Any) -> None:
        log.debug("d")
        log.info("i")
        log.warning("w")
        log.error("e")

    lines = written(stdout, log_all, level=level).splitlines()
    assert [json.loads(line)["event"] for line in lines] == expected


def fail_with(request_bytes: str) -> None:
    raise ZeroDivisionError("by nought")


def log_error(log: Any) -> None:
    try:
        fail_with(SECRET)
    except ZeroDivisionError as error:
        log.error("rpc_failed", exc_info=error)  # noqa: TRY400 - the exception may come from anywhere


def test_an_exception_is_told_with_its_frames(stdout: Terminal) -> None:
    (exception,) = json.loads(written(stdout, log_error))["exception"]
    assert (exception["exc_type"], exception["exc_value"]) == ("ZeroDivisionError", "by nought")
    assert [frame["name"] for frame in exception["frames"]] == ["log_error", "fail_with"]


@pytest.mark.parametrize("kind", ["json", "pretty"])
def test_local_variables_are_told_to_nobody(stdout: Terminal, kind: Any) -> None:
    """A frame holds pictures and requests."""
    text = written(stdout, log_error, kind=kind)
    assert "ZeroDivisionError" in text
    assert SECRET not in text


@pytest.mark.parametrize("kind", ["json", "pretty"])
def test_a_text_of_a_caller_cannot_forge_a_line(stdout: Terminal, kind: Any) -> None:
    text = written(stdout, lambda log: log.info("rpc_ended", reason="x\n{}\x1b[2Jrpc_ended"), kind=kind)
    assert text.count("\n") == 1
    assert "\x1b[2J" not in text


@pytest.mark.parametrize(("is_terminal", "is_json"), [(False, True), (True, False)])
def test_auto_is_pretty_on_a_terminal_only(
    is_terminal: bool,  # noqa: FBT001
    is_json: bool,  # noqa: FBT001
) -> None:
    text = written(Terminal(is_terminal=is_terminal), lambda log: log.info("ready"), kind="auto")
    assert text.startswith("{") == is_json


def test_settings_are_told_in_one_line(stdout: Terminal) -> None:
    settings = ServiceSettings()
    line = json.loads(written(stdout, lambda _: log_settings(settings)))
    assert line["event"] == "settings_loaded"
    assert line.keys() >= ServiceSettings.model_fields.keys()
    assert line["images"] == settings.images.model_dump(mode="json")
