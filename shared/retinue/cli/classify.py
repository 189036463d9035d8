"""`retinue classify`: pictures through one stream, answers as a table, as JSON lines, or drawn."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from retinue.cli.answer_lines import AnswerLines
from retinue.cli.answer_table import AnswerTable
from retinue.cli.drawn_files import DrawnFiles
from retinue.cli.picture_files import find_pictures
from retinue.cli.refusal import Refused
from retinue.cli.terminal import plain
from retinue.client.classification import ClassificationClient
from retinue.client.classification_answer import Classification
from retinue.client.errors import CallFailed, ItemError


def run(arguments: argparse.Namespace) -> int:
    """Classify the pictures and return 0, or 1 if any of them has no answer or no drawing.

    Raises:
        Refused: an argument cannot be used; or the service failed, and the answers until then are printed.
    """
    files = find_pictures(arguments.images, drawings=arguments.out)
    drawn = None if arguments.out is None else DrawnFiles(arguments.out, files)
    report = AnswerLines() if arguments.json else AnswerTable(arguments.top_k or 1)
    answered_count, bad_count = 0, 0
    with _client(arguments) as client, _progress(len(files), arguments) as progress:
        results = _results(client, files, arguments)
        task = progress.add_task("", total=len(files))
        try:
            for result, file in zip(results, files, strict=True):
                report.add(file, result)
                answered_count += 1
                problem = drawn.write(file, result) if drawn and isinstance(result, Classification) else ""
                if problem:
                    progress.console.print(plain(f"retinue: no drawing: {problem}"), soft_wrap=True)
                bad_count += isinstance(result, ItemError) or bool(problem)
                progress.advance(task)
        except CallFailed as failure:
            raise Refused(
                f"{arguments.server}: {failure}; {answered_count} of {len(files)} pictures were answered", exit_code=1
            ) from failure
        finally:
            progress.stop()
            report.finish()
    return 1 if bad_count else 0


def _client(arguments: argparse.Namespace) -> ClassificationClient:
    try:
        return ClassificationClient(arguments.server.split(","), timeout_s=arguments.timeout_s)
    except ValueError as error:
        raise Refused(f"--server: {error}") from error


def _results(
    client: ClassificationClient, files: list[Path], arguments: argparse.Namespace
) -> Iterator[Classification | ItemError]:
    try:
        return client.classify_stream(
            files, model=arguments.model, top_k=arguments.top_k, score_threshold=arguments.score_threshold
        )
    except ValueError as error:
        raise Refused(str(error)) from error


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
