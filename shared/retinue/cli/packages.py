"""Which model packages a command line means."""

from collections.abc import Sequence
from pathlib import Path

import structlog
from structlog.typing import EventDict, WrappedLogger

from retinue.cli.arguments import DEFAULT_ROOT
from retinue.cli.refusal import Refused
from retinue.runtime.repository import Repository, scan


def open_repository(roots: Sequence[Path] | None) -> Repository:
    """Return what lies under the roots, or under ``./models`` where none is given.

    Raises:
        Refused: a root is no folder.
    """
    # The command reports by itself; the runtime's log lines would stand between.
    structlog.configure(processors=[_drop])
    roots = list(roots or [DEFAULT_ROOT])
    for root in roots:
        if not root.is_dir():
            raise Refused(f"{root}: no such folder; name a model repository with --root")
    return scan(roots)


def is_meant(name: str, version: str, wanted: str) -> bool:
    """Return whether ``name`` or ``name@version`` means this model; all versions where it names none.

    >>> is_meant("pollen", "2", "pollen"), is_meant("pollen", "2", "pollen@1")
    (True, False)
    """
    wanted_name, at, wanted_version = wanted.partition("@")
    return name == wanted_name and (not at or version == wanted_version)


def _drop(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:  # noqa: ARG001 - structlog's signature
    raise structlog.DropEvent
