"""A package on disk: what its folder must be called, and whether its files are what the manifest says."""

import hashlib
from pathlib import Path

import pytest

from retinue.runtime.errors import PackageInvalid
from retinue.runtime.package import cache_name, open_package, sha256_of
from tests.unit.runtime.numbers_read import write_package


def test_good_package_is_opened_and_verified(tmp_path: Path) -> None:
    folder = write_package(tmp_path, "digits", "1.2")
    package = open_package(folder)
    package.verify()

    assert (package.name, package.version, package.folder) == ("digits", "1.2", folder)
    assert package.path("model.onnx") == folder / "model.onnx"


@pytest.mark.parametrize(("key", "renamed"), [("name", "letters/1"), ("version", "digits/2")])
def test_package_in_a_folder_of_another_name_is_refused(tmp_path: Path, key: str, renamed: str) -> None:
    folder = write_package(tmp_path, "digits", "1")
    moved = tmp_path / renamed
    moved.parent.mkdir(exist_ok=True)
    folder.rename(moved)

    with pytest.raises(PackageInvalid, match=f"model.yaml: {key}: is"):
        open_package(moved)


def test_folder_without_a_manifest_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(PackageInvalid, match=r"model.yaml cannot be read: FileNotFoundError"):
        open_package(tmp_path)


def test_manifest_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").mkdir()

    with pytest.raises(PackageInvalid, match="IsADirectoryError"):
        open_package(tmp_path)


@pytest.mark.parametrize("name", ["other.bin", "../1/model.onnx", "model.yaml", "", "/etc/passwd"])
def test_file_that_is_not_listed_has_no_path(tmp_path: Path, name: str) -> None:
    package = open_package(write_package(tmp_path, "digits", "1"))

    with pytest.raises(PackageInvalid, match="not listed"):
        package.path(name)


def test_missing_file_is_named(tmp_path: Path) -> None:
    folder = write_package(tmp_path, "digits", "1")
    (folder / "model.onnx").unlink()

    with pytest.raises(PackageInvalid, match=r"model.onnx cannot be read: No such file") as raised:
        open_package(folder).verify()
    assert str(tmp_path) not in raised.value.message


@pytest.mark.parametrize("content", [b"", b"grapH", b"graph "])
def test_altered_file_is_named(tmp_path: Path, content: bytes) -> None:
    folder = write_package(tmp_path, "digits", "1")
    (folder / "model.onnx").write_bytes(content)

    with pytest.raises(PackageInvalid, match=r"digits@1: model.onnx has sha256 .{64}, the manifest says .{64}"):
        open_package(folder).verify()


def test_folder_in_the_place_of_a_file_is_unreadable(tmp_path: Path) -> None:
    folder = write_package(tmp_path, "digits", "1")
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").mkdir()

    with pytest.raises(PackageInvalid, match="cannot be read: Is a directory"):
        open_package(folder).verify()


def test_every_listed_file_is_verified(tmp_path: Path) -> None:
    graph, more = (hashlib.sha256(content).hexdigest() for content in (b"graph", b"more"))
    folder = write_package(tmp_path, "digits", "1", files={"model.onnx": graph, "more.bin": more})
    package = open_package(folder)

    with pytest.raises(PackageInvalid, match=r"more\.bin"):
        package.verify()
    (folder / "more.bin").write_bytes(b"more")
    package.verify()


def test_file_behind_a_link_is_verified_by_its_content(tmp_path: Path) -> None:
    """Stores of models by digest link to where the bytes lie."""
    folder = write_package(tmp_path, "digits", "1")
    (folder / "model.onnx").rename(tmp_path / "blob")
    (folder / "model.onnx").symlink_to(tmp_path / "blob")

    open_package(folder).verify()


def test_digest_is_that_of_hashlib_also_above_one_chunk(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000  # 1.28 MB, a chunk and a bit
    (tmp_path / "file").write_bytes(content)

    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_what_is_compiled_of_other_files_lies_elsewhere(tmp_path: Path) -> None:
    package = open_package(write_package(tmp_path, "digits", "1"))
    manifest = package.manifest.model_copy(update={"files": {"model.onnx": "0" * 64}})
    changed = type(package)(package.folder, manifest)

    assert cache_name(package).startswith("digits-1-")
    assert cache_name(package) == cache_name(package)
    assert cache_name(package) != cache_name(changed)
