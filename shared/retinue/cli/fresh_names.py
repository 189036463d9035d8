"""Names for files that a command writes: one per picture, none that another has or that was asked about."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from retinue.cli.refusal import Refused

_MAX_STEM_BYTES = 200  # file systems end at 255 for the whole name


class FreshNames:
    """A folder and the names in it that are still free.

    Args:
        folder: made if it is not there.
        kept: files that are not to be written over.
        option: what named the folder, for the message.

    Raises:
        Refused: the folder cannot be made.
    """

    def __init__(self, folder: Path, kept: Iterable[Path], option: str) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Refused(f"{option} {folder}: {error.strerror}") from error
        self._folder = folder.resolve()
        # Without regard to case, since some file systems have none.
        self._taken = {str(path.resolve()).casefold() for path in kept}
        self._tried: Counter[tuple[str, str]] = Counter()

    def place(self, picture: Path, ending: str) -> Path:
        """Return where a file about a picture goes: another at every call.

        Args:
            picture: whose stem it gets.
            ending: what follows, as ``-boxes.png``; a number comes before its suffix where the name is taken.
        """
        stem = os.fsdecode(os.fsencode(picture.stem)[:_MAX_STEM_BYTES])
        middle, suffix = Path(ending).stem, Path(ending).suffix
        while True:
            self._tried[stem, ending] += 1
            number = self._tried[stem, ending]
            name = f"{stem}{middle}{suffix}" if number == 1 else f"{stem}{middle}-{number}{suffix}"
            path = self._folder / name
            key = str(path).casefold()
            if key not in self._taken:
                self._taken.add(key)
                return path
