"""The model repository: which packages there are under ``<root>/<model>/<version>/``, and which are broken.

A broken package is listed with its reason and never hides a good version beside it. Where two roots hold the same model
and version, the first root wins, so that a user's root can shadow the embedded default.
"""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from retinue.runtime.errors import ModelNotFound, PackageInvalid
from retinue.runtime.package import Package, open_package

_MAX_TEXT = 2048  # characters of what is told of a broken package


@dataclass(frozen=True, slots=True)
class BrokenPackage:
    """A folder that looks like a package and is not."""

    folder: Path
    name: str
    version: str
    problem: str


@dataclass(frozen=True, slots=True)
class Repository:
    """What a scan of the roots found."""

    roots: tuple[Path, ...]
    found: tuple[Package, ...]
    broken: tuple[BrokenPackage, ...]

    def packages(self) -> list[Package]:
        """Return every good package, by name, then from the oldest version to the latest."""
        return list(self.found)

    def find(self, name: str, version: str = "") -> Package:
        """Return the package of that exact version, or the latest good one where ``version`` is empty.

        Raises:
            ModelNotFound: there is none.
        """
        matching = [package for package in self.found if package.name == name and version in ("", package.version)]
        if not matching:
            known = ", ".join(sorted({package.name for package in self.found})) or "none"
            asked = f"{name}@{version}" if version else name
            raise ModelNotFound(f"no model {asked}; known models: {known}", model=name, version=version)
        return matching[-1]


def scan(roots: Iterable[Path]) -> Repository:
    """Return what lies under the roots; nothing is loaded, no file but `model.yaml` is read.

    A root that does not exist holds nothing; one that cannot be read is broken, and so is a model's folder. Folders
    that start with a dot are passed over.
    """
    roots = tuple(roots)
    found: dict[tuple[str, str], Package] = {}
    broken: list[BrokenPackage] = []
    models = (model for root in roots for model in _folders(root, broken))
    for folder in (version for model in models for version in _folders(model, broken)):
        try:
            package = open_package(folder)
        except PackageInvalid as error:
            broken.append(_broken(folder, folder.parent.name, folder.name, error.message))
            continue
        found.setdefault((package.name, package.version), package)
    ordered = sorted(found.values(), key=lambda package: (package.name, version_key(package.version)))
    return Repository(roots, tuple(ordered), tuple(broken))


def stamp(roots: Iterable[Path]) -> frozenset[tuple[str, int, int, int]]:
    """Return what changes whenever a file of a package does: path, inode, size and time of each; nothing is read.

    What cannot be looked at is left out.
    """
    unread: list[BrokenPackage] = []
    folders = [version for root in roots for model in _folders(root, unread) for version in _folders(model, unread)]
    stamps = set()
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as files:
            for file in files:
                with suppress(OSError):
                    stat = os.stat(file.path)  # noqa: PTH116 - of what a link leads to
                    stamps.add((file.path, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return frozenset(stamps)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a package came from.

    Args:
        package: it.
        root_id: device and inode of its repository when it was there; None where that could not be seen.
    """

    package: Package
    root_id: tuple[int, int] | None

    @classmethod
    def of(cls, package: Package) -> "Origin":
        """Return the origin of a package that is there now."""
        return cls(package, _id_of(package.folder.parent.parent))

    @property
    def is_removed(self) -> bool:
        """Whether the folder of the package was removed from its repository.

        Not so where the whole repository is out of sight: a volume that is not mounted for a moment has removed
        nothing. What is seen in its place then is nothing, or an empty folder which is another one.
        """
        root = self.package.folder.parent.parent
        try:
            self.package.folder.stat()
        except FileNotFoundError:
            try:
                return any(root.iterdir()) or _id_of(root) == self.root_id
            except OSError:
                return False
        except OSError:
            return False
        return False


def _id_of(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def version_key(version: str) -> list[tuple[int, int, str]]:
    """Return the sort key that puts version 10 after version 9 and 1.2 after 1.1.

    Runs of digits compare as numbers and after text, and so does the end: ``1.0-rc`` comes before ``1.0``.

    >>> sorted(["10", "9", "1.2", "1.10", "1.2-rc", "v2"], key=version_key)
    ['v2', '1.2-rc', '1.2', '1.10', '9', '10']
    """
    parts = re.findall(r"\d+|[^\d._-]+", version)
    # Not isdigit, which a superscript is as well: that is no number for int.
    return [*((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts), (1, -1, "")]


def _broken(folder: Path, *texts: str) -> BrokenPackage:
    """Return what is broken, in text that can be sent.

    A folder's name may be any bytes, YAML holds any code, and of a manifest of 1 MiB each value may be wrong.
    """
    cut = (text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…" for text in texts)
    return BrokenPackage(folder, *(text.encode(errors="replace").decode() for text in cut))


def _folders(parent: Path, broken: list[BrokenPackage]) -> list[Path]:
    try:
        children = sorted(parent.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        broken.append(_broken(parent, parent.name, "", f"the folder cannot be read: {error.strerror}"))
        return []
    # Unlike Path.is_dir, os.path.isdir never raises: a link into a forbidden place is no folder of ours.
    return [child for child in children if not child.name.startswith(".") and os.path.isdir(child)]  # noqa: PTH112
