"""How the process of a service begins: arguments, settings, then the host."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from retinue.serving.host import Service, serve
from retinue.serving.settings import Settings, SettingsInvalid, load_settings


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
    try:
        settings = load_settings(settings_type, parser.parse_args(arguments).config)
    except SettingsInvalid as error:
        print(f"settings: {error}", file=sys.stderr)  # noqa: T201 - the log is not configured yet
        return 2
    return serve(service, settings)
