"""Instances as CSV: one row for each, in one file for all pictures or in one for each."""

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from retinue.cli.answer_lines import json_number
from retinue.cli.fresh_names import FreshNames
from retinue.cli.refusal import Refused
from retinue.client.segmentation_answer import Instance
from retinue.client.slide_answer import SlideInstance

COLUMNS = (
    *("file", "id", "label", "score", "area_px", "centroid_x", "centroid_y"),
    *("x_min", "y_min", "x_max", "y_max"),
)
ENDING = "-instances.csv"


class InstanceCsv:
    """Writes rows as they come.

    Args:
        target: a file, written anew; or a folder, which is one already or ends with a slash, for a file per picture.
        pictures: files that are not to be written over.

    Raises:
        Refused: the file or folder cannot be made, or is one of the pictures.
    """

    def __init__(self, target: str, pictures: Sequence[Path]) -> None:
        self._target = target
        self._names: FreshNames | None = None
        self._file: TextIO | None = None
        if target.endswith(os.sep) or Path(target).is_dir():
            self._names = FreshNames(Path(target), pictures, option="--csv")
        elif Path(target).resolve() in {picture.resolve() for picture in pictures}:
            raise Refused(f"--csv {target}: it is one of the pictures")
        else:
            self._file = self._opened(Path(target))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, picture: Path, instances: Iterable[tuple[int, Instance | SlideInstance]]) -> None:
        """Write the rows of one picture, or of a part of one.

        Args:
            picture: whose they are.
            instances: with the number of each, from 1 on.

        Raises:
            Refused: they cannot be written.
        """
        if self._names is not None:
            with self._opened(self._names.place(picture, ENDING)) as file:
                self._write(file, picture, instances)
        elif self._file is not None:
            self._write(self._file, picture, instances)

    def _opened(self, path: Path) -> TextIO:
        try:
            # A file's name may hold bytes that are no text in any encoding.
            file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
            csv.writer(file).writerow(COLUMNS)
        except OSError as error:
            raise Refused(f"--csv {path}: {error.strerror}") from error
        return file

    def _write(self, file: TextIO, picture: Path, instances: Iterable[tuple[int, Instance | SlideInstance]]) -> None:
        try:
            csv.writer(file).writerows(
                [
                    *(str(picture), number, one.label, json_number(one.score), one.area_px),
                    *(f"{place:.2f}" for place in one.centroid),
                    *one.box,
                ]
                for number, one in instances
            )
            file.flush()
        except OSError as error:
            raise Refused(f"--csv {self._target}: {error.strerror}", exit_code=1) from error
