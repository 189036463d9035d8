"""A peer's own virtual environment: made once, by package names, kept under ``out/peers``."""

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

_MARK = "installed.txt"


class Environment:
    """A virtual environment that holds one peer.

    Args:
        folder: where it lies, or is to lie.
        requirements: what pip is asked for.
    """

    def __init__(self, folder: Path, requirements: Sequence[str]) -> None:
        self.folder = folder.resolve()
        self._requirements = list(requirements)

    @property
    def bin(self) -> Path:
        """The folder of its programs."""
        return self.folder / "bin"

    @property
    def packages(self) -> Path:
        """The folder of its packages."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.folder / "lib" / version / "site-packages"

    def make(self) -> None:
        """Make it where it is not there yet, or was made for other requirements.

        Raises:
            subprocess.CalledProcessError: pip cannot install what is asked for.
        """
        mark = self.folder / _MARK
        wanted = "\n".join(self._requirements)
        if mark.is_file() and mark.read_text(encoding="utf-8") == wanted:
            return
        print(f"installing {', '.join(self._requirements)}", file=sys.stderr)
        venv.create(self.folder, with_pip=True, clear=True)
        command = [str(self.bin / "python"), "-m", "pip", "install", "--quiet", *self._requirements]
        subprocess.run(command, check=True)
        mark.write_text(wanted, encoding="utf-8")
