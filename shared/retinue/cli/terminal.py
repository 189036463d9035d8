"""Text on stdout for people and pipes: nothing cut in a pipe, nothing that could steer a terminal."""

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from retinue.cli.refusal import harmless

_PIPE_WIDTH = 100_000  # columns: a reader of a pipe wants whole lines


def stdout_console() -> Console:
    """Return a console on stdout that folds to the width of a terminal, and never in a pipe."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)


def plain_table(*columns: str) -> Table:
    """Return an empty table without lines, columns on the left; long cells are folded, not cut."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def plain(text: str, style: str = "") -> Text:
    """Return text that is shown as it is: markup is no markup, and nothing in it steers the terminal.

    >>> plain("[red]").plain
    '[red]'
    """
    return Text(harmless(text), style)
