"""Pairs for people, for programs, and as a file."""

import csv
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retinue.cli.refusal import Refused
from retinue.cli.terminal import plain, plain_table, stdout_console
from retinue.client.matching_answers import Pairs, PairScores

_ROW_COUNT = 10


@dataclass(frozen=True, slots=True)
class PairsReport:
    """Who belongs to whom, of one problem.

    Args:
        pairs: by position from 0.
        scores: how well b finds a.
        values: of each pair.
        value_name: what a value is, such as ``distance``.
        solve_time_s: seconds that the service spent on it.
    """

    pairs: Pairs
    scores: PairScores
    values: NDArray[np.float64]
    value_name: str
    solve_time_s: float

    def print_table(self) -> None:
        """Print the scores and the first ten pairs."""
        console = stdout_console()
        pairs = self.pairs
        counts = f"{len(pairs)} pairs, {len(pairs.unpaired_a)} of a and {len(pairs.unpaired_b)} of b are alone"
        console.print(plain(counts, style="bold").append(f"  {self.solve_time_s * 1e3:.1f} ms", "dim"))
        named = (("precision", self.scores.precision), ("recall", self.scores.recall), ("F1", self.scores.f1))
        told = [f"{name} {'-' if score is None else f'{score:.3f}'}" for name, score in named]
        if len(pairs):
            told.append(f"mean {self.value_name} {self.values.mean():.3f}")
        console.print(plain(", ".join(told)))
        table = plain_table("", "a", "b", self.value_name)
        for column in table.columns[1:]:
            column.justify = "right"
        for a, b, value in zip(pairs.a[:_ROW_COUNT], pairs.b[:_ROW_COUNT], self.values[:_ROW_COUNT], strict=True):
            table.add_row("", str(a), str(b), f"{value:.3f}")
        if len(pairs) > _ROW_COUNT:
            table.add_row("", plain(f"and {len(pairs) - _ROW_COUNT} more", style="dim"))
        if len(pairs):
            console.print(table)

    def print_json(self) -> None:
        """Print all of it as one JSON object."""
        pairs, scores = self.pairs, self.scores
        content = {
            "pairs": [[a, b] for a, b in zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)],
            f"{self.value_name}s": [value if math.isfinite(value) else None for value in self.values.tolist()],
            "unpaired_a": pairs.unpaired_a.tolist(),
            "unpaired_b": pairs.unpaired_b.tolist(),
            "precision": scores.precision,
            "recall": scores.recall,
            "f1": scores.f1,
            "solve_time_s": self.solve_time_s,
        }
        sys.stdout.write(json.dumps(content) + "\n")

    def write_csv(self, path: Path) -> None:
        """Write a row for each pair; then those of a and those of b that are alone, with the other columns empty.

        Raises:
            Refused: the file cannot be written.
        """
        try:
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(("a", "b", self.value_name))
                writer.writerows(self._rows())
        except OSError as error:
            raise Refused(f"--csv {path}: {error.strerror}") from error

    def _rows(self) -> Iterator[tuple[int | str, int | str, float | str]]:
        pairs = self.pairs
        yield from zip(pairs.a.tolist(), pairs.b.tolist(), self.values.tolist(), strict=True)
        yield from ((a, "", "") for a in pairs.unpaired_a.tolist())
        yield from (("", b, "") for b in pairs.unpaired_b.tolist())


def report(found: PairsReport, *, is_json: bool, csv_path: Path | None) -> None:
    """Print the pairs, as a table or as JSON; or write them as CSV, and print the table.

    Raises:
        Refused: the file cannot be written.
    """
    if csv_path is not None:
        found.write_csv(csv_path)
    if is_json:
        found.print_json()
    else:
        found.print_table()
