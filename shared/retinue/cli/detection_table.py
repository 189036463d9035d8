"""Detections for people: for each picture how many of each class, and a table of the best boxes, when all are there."""

from collections import Counter
from pathlib import Path

from rich.table import Table
from rich.text import Text

from retinue.cli.problem import problem_text
from retinue.cli.terminal import plain, plain_table, stdout_console
from retinue.client.detection_answer import DetectionAnswer
from retinue.client.errors import ItemError

_COLUMNS = ("label", "score", "x_min", "y_min", "x_max", "y_max")
_ROW_COUNT = 10


class DetectionTable:
    """Collects results and prints them; at most ten boxes of each picture, the best first."""

    def __init__(self) -> None:
        self._blocks: list[tuple[Text, Table | None]] = []

    def add(self, file: Path, result: DetectionAnswer | ItemError) -> None:
        """Add the counts and the best boxes of one picture, or what went wrong with it."""
        head = Text().append_text(plain(str(file), style="bold")).append("  ")
        if isinstance(result, ItemError):
            self._blocks.append((head.append_text(problem_text(result)), None))
            return
        counts = Counter(one.label for one in result.detections).most_common()
        found = ", ".join(f"{count} {label}" for label, count in counts) or "nothing found"
        head.append_text(plain(found)).append(f"  {result.timings.total_s * 1e3:.1f} ms", "dim")
        self._blocks.append((head, _boxes(result) if result.detections else None))

    def finish(self) -> None:
        """Print what was collected."""
        console = stdout_console()
        for head, boxes in self._blocks:
            console.print(head, overflow="fold")
            if boxes is not None:
                console.print(boxes)


def _boxes(answer: DetectionAnswer) -> Table:
    table = plain_table("", *_COLUMNS)
    for column in table.columns[2:]:
        column.justify, column.no_wrap = "right", True
    for one in answer.detections[:_ROW_COUNT]:
        table.add_row("", plain(one.label), f"{one.score:.3f}", *(f"{edge:.1f}" for edge in one.box))
    more_count = len(answer.detections) - _ROW_COUNT
    if more_count > 0:
        table.add_row("", plain(f"and {more_count} more", style="dim"))
    return table
