"""How a process of a service begins: arguments, settings, then the host, or the supervisor of several."""

import argparse
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

from retinue.serving.host import Service, serve
from retinue.serving.seat import Seat
from retinue.serving.settings import Settings, SettingsInvalid, load_settings
from retinue.serving.supervisor import supervise
from retinue.serving.worker_process import OPTION


def run_service(
    service: Service[Settings], settings_type: type[Settings], arguments: Sequence[str] | None = None
) -> int:
    """Serve until SIGTERM and return the exit code of the process: 2 where the settings cannot be used.

    Args:
        service: what is served.
        settings_type: its settings.
        arguments: of the command line; None takes those of the process.
    """
    task = service.task
    parser = argparse.ArgumentParser(prog=f"python -m services.{task}", description=f"Serve {task}.")
    parser.add_argument("--config", type=Path, help="YAML file with settings; RETINUE_… variables come before it")
    parser.add_argument(OPTION, type=int, dest="link", help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    if parsed.link is not None:  # a process that a supervisor has started
        seat = Seat(Connection(parsed.link))
        return serve(service, cast("Settings", seat.start.settings), seat)
    try:
        settings = load_settings(settings_type, parsed.config)
    except SettingsInvalid as error:
        print(f"settings: {error}", file=sys.stderr)  # noqa: T201 - the log is not configured yet
        return 2
    return serve(service, settings) if settings.workers == 1 else supervise(settings)
