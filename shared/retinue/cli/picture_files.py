"""Which files a command line means: files as they are named, folders with all pictures below, patterns."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from retinue.cli.refusal import Refused

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def find_pictures(names: Iterable[str], *, drawings: Path | None = None) -> list[Path]:
    """Return the files that the names mean, in order; those of a folder or pattern sorted.

    A plain name is taken whatever its suffix and whether or not it exists: what is wrong with it is told in its place.
    Hidden files, and in folders files that are no pictures by their suffix, are passed over.

    Args:
        names: as on the command line.
        drawings: a folder that is passed over inside another, since it holds what the command itself wrote.

    Raises:
        Refused: a folder or pattern holds no picture.
    """
    found: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = sorted(_pictures_below(path, drawings))
            if not inside:
                raise Refused(f"{name}: the folder holds no picture ({', '.join(sorted(PICTURE_SUFFIXES))})")
        elif glob.has_magic(name) and not path.exists():
            # The file system's order is no order; a folder that matches is not a picture.
            inside = sorted(match for match in map(Path, glob.iglob(name, recursive=True)) if match.is_file())  # noqa: PTH207 - patterns may be absolute
            if not inside:
                raise Refused(f"{name}: no file matches")
        else:
            inside = [path]
        found.extend(inside)
    return found


def _pictures_below(folder: Path, drawings: Path | None) -> Iterator[Path]:
    passed_over = None if drawings is None else drawings.resolve()
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "." and Path(parent, name).resolve() != passed_over]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES:
                yield Path(parent, name)
