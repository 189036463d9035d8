"""The parser of every command, and what all of them that ask a service have."""

import argparse
from typing import NoReturn

from retinue.cli.number_arguments import seconds

DEFAULT_SERVER = "127.0.0.1:50051"


class Parser(argparse.ArgumentParser):
    """A parser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is, and leave with exit code 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def add_server(parser: argparse.ArgumentParser, waiting: str, *, timeout_s: float = 10.0) -> None:
    """Add where the service is, and how long to wait for it.

    Args:
        parser: of a command.
        waiting: what the longest wait is for.
        timeout_s: how long that is if nothing else is said, seconds.
    """
    parser.add_argument(
        "--server", metavar="HOST:PORT", default=DEFAULT_SERVER, help="the service (%(default)s); several by commas"
    )
    parser.add_argument(
        "--timeout-s", type=seconds, default=timeout_s, metavar="S", help=f"longest wait for {waiting} (%(default)s)"
    )
