"""JSON files, and what may be in them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from retinue.cli.refusal import Refused


def read_json(path: Path, hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Return what a JSON file holds.

    Args:
        path: the file.
        hook: makes of each object what is kept of it.

    Raises:
        Refused: it cannot be read, or is no JSON.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            return json.load(file, object_hook=hook)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path}: is no JSON ({error})") from error


def is_box(value: Any) -> bool:
    """Return whether a value is four numbers.

    >>> is_box([0, 0, 1.5, 2]), is_box([0, 0, 1]), is_box([0, 0, 1, True])
    (True, False, False)
    """
    return isinstance(value, list) and len(value) == 4 and all(is_number(edge) for edge in value)


def is_number(value: Any) -> bool:
    """Return whether a value is a number; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)
