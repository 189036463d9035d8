"""The log: JSON lines on stdout, pretty on a terminal."""

import logging
import sys
import time
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from structlog.typing import EventDict

from retinue.serving.log_writer import LogWriter
from retinue.serving.settings import HostSettings, LogSettings

# Local variables of a frame are pictures and requests: never in a log, and slow to print.
_STAMP: Final = structlog.processors.TimeStamper(fmt="iso", utc=True)
_JSON: Final = structlog.processors.JSONRenderer()
_TRACEBACKS = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def configure_logs(settings: LogSettings, **facts: object) -> None:
    """Make every logger of the process write as the settings say.

    Args:
        settings: how.
        facts: stand in every line.
    """
    is_pretty = settings.format == "pretty" or (settings.format == "auto" and sys.stdout.isatty())

    def add_facts(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        return {**event, **facts}

    processors: list[Any] = [*([add_facts] if facts else []), structlog.processors.add_log_level]
    if is_pretty:
        formatter = structlog.dev.RichTracebackFormatter(show_locals=False)
        processors += [_STAMP, structlog.dev.ConsoleRenderer(exception_formatter=formatter)]
        writer = LogWriter(sys.stdout)
    else:
        # An exception is rendered where it is logged: its frames do not wait for the writer.
        processors += [structlog.processors.ExceptionRenderer(_TRACEBACKS), _handed_over]
        writer = LogWriter(sys.stdout, render=_as_json)
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=True,
    )


def _handed_over(logger: Any, name: str, entry: EventDict) -> tuple[tuple[EventDict], dict[str, Any]]:  # noqa: ARG001 - a processor's
    entry["timestamp"] = time.time()
    return (entry,), {}


def _as_json(entry: EventDict) -> str:
    said_at = datetime.fromtimestamp(entry["timestamp"], UTC)
    entry["timestamp"] = f"{said_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    return str(_JSON(None, "", entry))


def log_settings(settings: HostSettings) -> None:
    """Say once what is in force. Secrets are of the type `SecretStr` and shown as asterisks."""
    structlog.get_logger(__name__).info("settings_loaded", **settings.model_dump(mode="json"))
