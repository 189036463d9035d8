"""Classifications for people: a table, printed when all are there."""

from pathlib import Path

from rich.console import RenderableType

from retinue.cli.problem import problem_text
from retinue.cli.terminal import plain, plain_table, stdout_console
from retinue.client.classification_answer import Classification
from retinue.client.errors import ItemError

_COLUMNS = ("file", "label", "score", "unknown?", "ms")


class ClassificationTable:
    """Collects results and prints them.

    Args:
        row_count: how many labels of each picture are shown, the best first.
    """

    def __init__(self, row_count: int) -> None:
        self._row_count = row_count
        self._rows: list[tuple[RenderableType, ...]] = []
        self._has_problems = False

    def add(self, file: Path, result: Classification | ItemError) -> None:
        """Add the best labels of one picture, or what went wrong with it."""
        name = plain(str(file))
        if isinstance(result, ItemError):
            self._has_problems = True
            self._rows.append((name, "", "", "", "", problem_text(result)))
            return
        unknown, duration = _unknown(result), f"{result.timings.total_s * 1e3:.1f}"
        if not result.labels:
            self._rows.append((name, plain("no label above the threshold", style="dim"), "", unknown, duration))
        for index, scored in enumerate(result.labels[: self._row_count]):
            label, score = plain(scored.label.name), f"{scored.score:.3f}"
            self._rows.append((name, label, score, unknown, duration) if index == 0 else ("", label, score))

    def finish(self) -> None:
        """Print the table, if there is anything in it."""
        if not self._rows:
            return
        table = plain_table(*_COLUMNS, *(["problem"] if self._has_problems else []))
        for column in table.columns[2:5]:
            column.no_wrap = True
        for column in (table.columns[2], table.columns[4]):
            column.justify = "right"
        for row in self._rows:
            table.add_row(*row)
        stdout_console().print(table)


def _unknown(result: Classification) -> str:
    if result.is_unknown is None:
        return "-"
    score = "" if result.unknown_score is None else f" ({result.unknown_score:.3f})"
    return f"[yellow]yes[/yellow]{score}" if result.is_unknown else f"no{score}"
