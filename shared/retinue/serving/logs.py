"""The log: JSON lines on stdout, pretty on a terminal."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from retinue.serving.log_writer import LogWriter
from retinue.serving.settings import HostSettings, LogSettings

# Local variables of a frame are pictures and requests: never in a log, and slow to print.
_TRACEBACKS = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def configure_logs(settings: LogSettings, **facts: object) -> None:
    """Make every logger of the process write as the settings say.

    Args:
        settings: how.
        facts: stand in every line.
    """
    is_pretty = settings.format == "pretty" or (settings.format == "auto" and sys.stdout.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.RichTracebackFormatter(show_locals=False))
        if is_pretty
        else structlog.processors.JSONRenderer()
    )

    def add_facts(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        return {**event, **facts}

    processors: list[Any] = [
        *([add_facts] if facts else []),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *([] if is_pretty else [structlog.processors.ExceptionRenderer(_TRACEBACKS)]),
        renderer,
    ]
    writer = LogWriter(sys.stdout)
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=True,
    )


def log_settings(settings: HostSettings) -> None:
    """Say once what is in force. Secrets are of the type `SecretStr` and shown as asterisks."""
    structlog.get_logger(__name__).info("settings_loaded", **settings.model_dump(mode="json"))
