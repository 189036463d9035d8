"""Segmentations for people: for each picture its classes with their pixels, shares and things, when all are there."""

from collections import Counter
from pathlib import Path

from rich.table import Table
from rich.text import Text

from retinue.cli.problem import problem_text
from retinue.cli.terminal import plain, plain_table, stdout_console
from retinue.client.errors import ItemError
from retinue.client.segmentation_answer import SegmentationAnswer

_ROW_COUNT = 20


class SegmentationTable:
    """Collects results and prints them; at most twenty classes of each picture, the largest first."""

    def __init__(self) -> None:
        self._blocks: list[tuple[Text, Table | None]] = []

    def add(self, file: Path, result: SegmentationAnswer | ItemError) -> None:
        """Add the classes of one picture, or what went wrong with it."""
        head = Text().append_text(plain(str(file), style="bold")).append("  ")
        if isinstance(result, ItemError):
            self._blocks.append((head.append_text(problem_text(result)), None))
            return
        head.append(f"{len(result.instances)} instances  ").append(f"{result.timings.total_s * 1e3:.1f} ms", "dim")
        counts = Counter(one.label_id for one in result.instances)
        pixel_count = max(1, result.image_info.width * result.image_info.height)
        rows = [
            (one.label, one.pixel_count, one.pixel_count / pixel_count, counts[one.label_id]) for one in result.classes
        ]
        self._blocks.append((head, class_table(rows)))

    def finish(self) -> None:
        """Print what was collected."""
        console = stdout_console()
        for head, classes in self._blocks:
            console.print(head, overflow="fold")
            if classes is not None:
                console.print(classes)


def class_table(rows: list[tuple[str, int, float, int]]) -> Table:
    """Return a table of classes that are there, the largest first.

    Args:
        rows: name, pixels, share of the picture in [0, 1] and count of instances of each class.
    """
    table = plain_table("", "class", "pixels", "share", "instances")
    for column in table.columns[2:]:
        column.justify, column.no_wrap = "right", True
    found = sorted((row for row in rows if row[1] or row[3]), key=lambda row: -row[1])
    for label, pixel_count, share, count in found[:_ROW_COUNT]:
        table.add_row("", plain(label), str(pixel_count), f"{share:.2%}", str(count))
    if len(found) > _ROW_COUNT:
        table.add_row("", plain(f"and {len(found) - _ROW_COUNT} more", style="dim"))
    return table
