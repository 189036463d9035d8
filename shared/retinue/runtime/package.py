"""One model package on disk: a folder with a manifest and the files that it lists."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from retinue.runtime.errors import PackageInvalid
from retinue.runtime.manifest import Manifest
from retinue.runtime.manifest_file import open_plain, read_manifest

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Package:
    """A package whose manifest is valid; `verify` tells whether its files are what the manifest says."""

    folder: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """Version of the model."""
        return self.manifest.version

    def path(self, file_name: str) -> Path:
        """Return where a listed file lies.

        Raises:
            PackageInvalid: the manifest does not list it.
        """
        if file_name not in self.manifest.files:
            raise PackageInvalid(f"{self.name}@{self.version}: {file_name} is not listed under files")
        return self.folder / file_name

    def verify(self) -> None:
        """Check that every listed file is there and has the digest that the manifest gives.

        Raises:
            PackageInvalid: one is missing or differs; the message names it.
        """
        for file_name, expected in self.manifest.files.items():
            actual = sha256_of(self.folder / file_name)
            if actual != expected:
                raise PackageInvalid(
                    f"{self.name}@{self.version}: {file_name} has sha256 {actual}, the manifest says {expected}"
                )


def open_package(folder: Path) -> Package:
    """Return the package in ``<repository>/<model>/<version>``.

    Raises:
        PackageInvalid: the manifest is missing or wrong, or names another model or version than the folders do.
    """
    manifest = read_manifest(folder)
    for key, said, is_called in (
        ("name", manifest.name, folder.parent.name),
        ("version", manifest.version, folder.name),
    ):
        if said != is_called:
            raise PackageInvalid(f"model.yaml: {key}: is {said!r}, but the folder is called {is_called!r}")
    return Package(folder, manifest)


def cache_name(package: Package) -> str:
    """Return the folder's name for what is compiled of a package: another one for other files."""
    digest = hashlib.sha256("".join(sorted(package.manifest.files.values())).encode()).hexdigest()
    return f"{package.name}-{package.version}-{digest[:12]}"


def sha256_of(path: Path) -> str:
    """Return the hexadecimal sha256 of a file.

    Raises:
        PackageInvalid: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open_plain(path) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise PackageInvalid(f"{path.name} cannot be read: {error.strerror or type(error).__name__}") from error
    return digest.hexdigest()
