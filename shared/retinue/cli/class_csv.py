"""The classes of a slide as CSV: one row for each, with its pixels, its share and its instances."""

import csv
from collections.abc import Sequence
from pathlib import Path

from retinue.client.slide_answer import ClassSummary

COLUMNS = ("file", "label_id", "label", "area_px", "share", "instance_count", "instance_area_px")
ENDING = "-classes.csv"


def write_class_csv(path: Path, slide: Path, classes: Sequence[ClassSummary], pixel_count: int) -> None:
    """Write a row for each class of the model, also for those that are nowhere.

    Args:
        path: written anew.
        slide: whose they are.
        classes: by class id.
        pixel_count: of the slide, of which each class has a share in [0, 1].

    Raises:
        OSError: it cannot be written.
    """
    # A file's name may hold bytes that are no text in any encoding.
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(
            [
                *(str(slide), one.label_id, one.label, one.pixel_count, f"{one.pixel_count / pixel_count:.6f}"),
                *(one.instance_count, one.instance_area_px),
            ]
            for one in classes
        )
