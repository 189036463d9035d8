"""A client of the service that a command line names; its failures end the command."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from retinue.cli.refusal import Refused
from retinue.client.errors import CallFailed
from retinue.client.service_client import ServiceClient

Client = TypeVar("Client", bound=ServiceClient)


def open_client(client: type[Client], arguments: argparse.Namespace) -> Client:
    """Return a client of the service.

    Args:
        client: its kind.
        arguments: ``server`` and ``timeout_s`` are looked at.

    Raises:
        Refused: the address cannot be used.
    """
    try:
        return client(arguments.server.split(","), timeout_s=arguments.timeout_s)
    except ValueError as error:
        raise Refused(f"--server: {error}") from error


@contextmanager
def connected(client: type[Client], arguments: argparse.Namespace) -> Iterator[Client]:
    """Give a client of the service, as `open_client`, and close it.

    Raises:
        Refused: the address cannot be used, what is asked cannot be sent, or the service failed.
    """
    with open_client(client, arguments) as opened:
        try:
            yield opened
        except CallFailed as failure:
            raise Refused(f"{arguments.server}: {failure}", exit_code=1) from failure
        except ValueError as error:
            raise Refused(str(error)) from error
