"""What went wrong with one picture, for people."""

from rich.text import Text

from retinue.cli.terminal import plain
from retinue.client.errors import ItemError


def problem_text(error: ItemError) -> Text:
    """Return what went wrong with one picture, as text that is seen."""
    return plain(f"{error.reason or error.code.name}: {error.message}", style="red")
