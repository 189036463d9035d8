"""Pictures through one stream, answers reported and drawn as they come: what the commands that ask a service share."""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from retinue.cli.connection import open_client
from retinue.cli.drawn_files import DrawnFiles
from retinue.cli.picture_files import find_pictures
from retinue.cli.refusal import Refused
from retinue.cli.terminal import plain
from retinue.client.errors import CallFailed, ItemError
from retinue.client.service_client import ServiceClient

Answer = TypeVar("Answer")
Client = TypeVar("Client", bound=ServiceClient)
Answer_contra = TypeVar("Answer_contra", contravariant=True)


class Report(Protocol[Answer_contra]):
    """Tells people or programs what came of each picture."""

    def add(self, file: Path, result: Answer_contra | ItemError) -> None:
        """Take the result of one picture."""

    def finish(self) -> None:
        """Tell what has not been told yet."""


@dataclass(frozen=True, slots=True)
class PictureRun(Generic[Client, Answer]):
    """How pictures are asked about, and what is done with the answers.

    Args:
        client: of the service.
        ask: opens the stream; a ValueError of it says which argument cannot be sent.
        report: told of each result.
        draw: makes the drawing of a picture, uint8 [height, width, 3] RGB, with its answer.
        suffix: what is added to a picture's name for its drawing's.
    """

    client: type[Client]
    ask: Callable[[Client, list[Path]], Iterator[Answer | ItemError]]
    report: Report[Answer]
    draw: Callable[[NDArray[np.uint8], Answer], NDArray[np.uint8]]
    suffix: str

    def run(self, arguments: argparse.Namespace) -> int:
        """Ask about the pictures and return 0, or 1 if any of them has no answer or no drawing.

        Args:
            arguments: ``images``, ``server``, ``timeout_s``, ``out`` and ``json`` are looked at.

        Raises:
            Refused: an argument cannot be used; or the service failed, and the answers until then are reported.
        """
        files = find_pictures(arguments.images, drawings=arguments.out)
        drawn = None if arguments.out is None else DrawnFiles(arguments.out, files, self.draw, self.suffix)
        answered_count, bad_count = 0, 0
        with open_client(self.client, arguments) as opened, _progress(len(files), arguments) as progress:
            try:
                results = self.ask(opened, files)
            except ValueError as error:
                raise Refused(str(error)) from error
            task = progress.add_task("", total=len(files))
            try:
                for result, file in zip(results, files, strict=True):
                    self.report.add(file, result)
                    answered_count += 1
                    problem = drawn.write(file, result) if drawn and not isinstance(result, ItemError) else ""
                    if problem:
                        progress.console.print(plain(f"retinue: no drawing: {problem}"), soft_wrap=True)
                    bad_count += isinstance(result, ItemError) or bool(problem)
                    progress.advance(task)
            except CallFailed as failure:
                raise Refused(
                    f"{arguments.server}: {failure}; {answered_count} of {len(files)} pictures were answered",
                    exit_code=1,
                ) from failure
            finally:
                progress.stop()
                self.report.finish()
        return 1 if bad_count else 0


def _progress(total: int, arguments: argparse.Namespace) -> Progress:
    """Return a bar on stderr, hidden where nobody looks, for one picture, and where it would mix with lines."""
    is_mixed = arguments.json and sys.stdout.isatty()
    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # rich would send stdout to stderr, and a pipe would get nothing
        redirect_stderr=False,
        disable=is_mixed or total < 2 or not sys.stderr.isatty(),
    )
