"""Points in CSV files."""

import csv
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retinue.cli.refusal import Refused

_DELIMITERS = ",;\t"


def read_points(path: Path) -> NDArray[np.float64]:
    """Return the points of a file, [n, 2].

    A point a line: its first two columns, or those that a first line calls ``x`` and ``y``. Columns stand between
    commas, semicolons or tabs, whichever the first line has. Lines without anything are passed over.

    Raises:
        Refused: the file cannot be read, or a line holds no two numbers.
    """
    values = array("d")
    x, y = 0, 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = next((mark for mark in _DELIMITERS if mark in first), ",")
            for number, row in enumerate(csv.reader(file, delimiter=delimiter), 1):
                if not any(cell.strip() for cell in row):
                    continue
                if number == 1 and (named := _columns(row)):
                    x, y = named
                    continue
                values.extend(_point(path, number, row, (x, y)))
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise Refused(f"{path}: is no CSV file ({error})") from error
    return np.array(values, np.float64).reshape(-1, 2)


def _columns(row: Sequence[str]) -> tuple[int, int] | None:
    """Return which columns a line of names means; None for a line of numbers."""
    names = [cell.strip().casefold() for cell in row]
    if "x" in names and "y" in names:
        return names.index("x"), names.index("y")
    try:
        float(names[0])
    except ValueError:
        return 0, 1
    return None


def _point(path: Path, number: int, row: Sequence[str], columns: tuple[int, int]) -> tuple[float, float]:
    try:
        return float(row[columns[0]]), float(row[columns[1]])
    except (IndexError, ValueError) as error:
        raise Refused(f"{path}: line {number} holds no x and y") from error
