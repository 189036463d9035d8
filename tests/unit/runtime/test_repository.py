"""What a scan finds: every good package, and every broken one beside it with its reason."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from retinue.runtime.errors import ModelNotFound, PackageInvalid
from retinue.runtime.package import open_package
from retinue.runtime.repository import Origin, Repository, scan, stamp, version_key
from tests.unit.runtime.numbers_read import write_package


def names(repository: Repository) -> list[str]:
    """Return the good packages in the order of the repository."""
    return [f"{package.name}@{package.version}" for package in repository.packages()]


def test_packages_come_by_name_then_from_the_oldest_version_to_the_latest(tmp_path: Path) -> None:
    for name, version in (("b", "1"), ("a", "10"), ("a", "9"), ("a", "1.2"), ("a", "1.10"), ("a", "10-rc")):
        write_package(tmp_path, name, version)

    assert names(scan([tmp_path])) == ["a@1.2", "a@1.10", "a@9", "a@10-rc", "a@10", "b@1"]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("9", "10"),
        ("1.9", "1.10"),
        ("1", "1.0"),
        ("1.0", "1.0.1"),
        ("1.0-rc1", "1.0"),
        ("1.0-rc1", "1.0-rc2"),
        ("1.0-rc9", "1.0-rc10"),
        ("1.0-alpha", "1.0-beta"),
        ("1.0", "1.1-rc"),
        ("v9", "v10"),
        ("v2", "1"),  # text before numbers
        ("2024-09-30", "2024-10-01"),
        ("1", "1" + "0" * 100),
    ],
)
def test_older_version_sorts_before_newer(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)


def test_latest_good_version_is_found_where_none_is_asked_for(tmp_path: Path) -> None:
    write_package(tmp_path, "m", "9")
    write_package(tmp_path, "m", "10")
    (write_package(tmp_path, "m", "11") / "model.yaml").unlink()
    repository = scan([tmp_path])

    assert repository.find("m").version == "10"
    assert repository.find("m", "9").version == "9"
    for version in ("11", "1", "90"):
        with pytest.raises(ModelNotFound, match=f"no model m@{version}; known models: m"):
            repository.find("m", version)


def test_unknown_model_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no model m; known models: none") as raised:
        scan([tmp_path]).find("m")
    assert raised.value.metadata == {"model": "m", "version": ""}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "must hold keys and values"),
        (b"\xff\xfe", "UnicodeDecodeError"),
        (b"[" * 5000, "not YAML"),
        (b"created: 2024-13-45", "not YAML"),
        (b"#" * (1 << 20) + b"#", "above 1048576 bytes"),
    ],
)
def test_broken_package_is_listed_beside_the_good(tmp_path: Path, content: bytes, problem: str) -> None:
    write_package(tmp_path, "m", "1")
    broken = write_package(tmp_path, "m", "2")
    (broken / "model.yaml").write_bytes(content)
    write_package(tmp_path, "n", "1")
    repository = scan([tmp_path])

    assert names(repository) == ["m@1", "n@1"]
    (package,) = repository.broken
    assert (package.folder, package.name, package.version) == (broken, "m", "2")
    assert problem in package.problem


def test_first_root_wins(tmp_path: Path) -> None:
    for root in ("user", "embedded"):
        write_package(tmp_path / root, "m", "1", description=root)
    write_package(tmp_path / "embedded", "m", "2")
    repository = scan([tmp_path / "user", tmp_path / "embedded"])

    assert names(repository) == ["m@1", "m@2"]
    assert repository.find("m", "1").manifest.description == "user"
    assert repository.roots == (tmp_path / "user", tmp_path / "embedded")


def test_package_broken_in_the_first_root_does_not_hide_the_second(tmp_path: Path) -> None:
    (write_package(tmp_path / "user", "m", "1") / "model.yaml").write_text("nonsense")
    write_package(tmp_path / "embedded", "m", "1")
    repository = scan([tmp_path / "user", tmp_path / "embedded"])

    assert names(repository) == ["m@1"]
    assert len(repository.broken) == 1


def test_root_that_is_absent_or_a_file_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    repository = scan([tmp_path / "absent", tmp_path / "file", tmp_path / "file" / "below"])

    assert (names(repository), repository.broken) == ([], ())


def test_files_and_dotted_folders_are_passed_over(tmp_path: Path) -> None:
    write_package(tmp_path, "m", "1")
    write_package(tmp_path, "m", "2").rename(tmp_path / "m" / ".2")
    write_package(tmp_path, "n", "1").parent.rename(tmp_path / ".n")
    (tmp_path / "README.md").write_text("")
    (tmp_path / "m" / "notes.txt").write_text("")
    (tmp_path / "empty").mkdir()
    repository = scan([tmp_path])

    assert (names(repository), repository.broken) == (["m@1"], ())


def test_links_are_followed_and_dangling_ones_passed_over(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    write_package(tmp_path / "store", "m", "1")
    (tmp_path / "root" / "m").symlink_to(tmp_path / "store" / "m")
    (tmp_path / "root" / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "root" / "ring").symlink_to(tmp_path / "root" / "ring")
    repository = scan([tmp_path / "root"])

    assert (names(repository), repository.broken) == (["m@1"], ())


def test_link_to_a_version_is_a_package_under_a_wrong_name(tmp_path: Path) -> None:
    write_package(tmp_path, "m", "1")
    (tmp_path / "m" / "latest").symlink_to(tmp_path / "m" / "1")
    repository = scan([tmp_path])

    assert names(repository) == ["m@1"]
    assert repository.broken[0].problem == "model.yaml: version: is '1', but the folder is called 'latest'"


@pytest.mark.parametrize("forbidden", ["", "m", "m/1", "m/1/model.yaml"])
def test_folder_that_cannot_be_read_is_broken_and_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forbidden: str
) -> None:
    """As `lost+found` on a volume of its own. Root may read everything, so the system's refusal is stood in for."""
    write_package(tmp_path / "root", "m", "1")
    write_package(tmp_path / "root", "n", "1")
    write_package(tmp_path / "other", "m", "2")
    closed = tmp_path / "root" / forbidden
    iterdir, path_open = Path.iterdir, Path.open

    def guarded_iterdir(self: Path) -> Iterator[Path]:
        if self == closed:
            raise PermissionError(13, os.strerror(13))
        return iterdir(self)

    def guarded_open(self: Path, *args: Any, **kwargs: Any) -> Any:
        if closed in (self, self.parent):
            raise PermissionError(13, os.strerror(13))
        return path_open(self, *args, **kwargs)

    monkeypatch.setattr(Path, "iterdir", guarded_iterdir)
    monkeypatch.setattr(Path, "open", guarded_open)
    repository = scan([tmp_path / "root", tmp_path / "other"])

    assert names(repository) == (["m@2", "n@1"] if forbidden else ["m@2"])
    (package,) = repository.broken
    expected = {"": ("root", ""), "m": ("m", "")}.get(forbidden, ("m", "1"))
    assert (package.name, package.version) == expected
    assert "cannot be read" in package.problem
    assert str(tmp_path) not in package.problem


# --- what changed


def test_a_stamp_tells_of_every_file_that_comes_changes_or_goes(tmp_path: Path) -> None:
    folder = write_package(tmp_path, "m", "1")
    stamps = [stamp([tmp_path])]
    assert stamp([tmp_path]) == stamps[0]
    (folder / "model.onnx").write_bytes(b"another graph")
    stamps.append(stamp([tmp_path]))
    os.utime(folder / "model.yaml", ns=(1, 1))
    stamps.append(stamp([tmp_path]))
    (folder / "labels.txt").write_text("no")
    stamps.append(stamp([tmp_path]))
    write_package(tmp_path, "m", "2")
    stamps.append(stamp([tmp_path]))
    (folder / "labels.txt").unlink()
    stamps.append(stamp([tmp_path]))
    assert len(set(stamps)) == len(stamps)


def test_a_stamp_follows_links_to_what_they_lead_to(tmp_path: Path) -> None:
    """Kubernetes changes mounted files by turning one link."""
    for name in ("one", "two"):
        write_package(tmp_path / name, "m", "1")
    (tmp_path / "now").symlink_to(tmp_path / "one")
    before = stamp([tmp_path / "now"])
    (tmp_path / "now").unlink()
    (tmp_path / "now").symlink_to(tmp_path / "two")
    assert stamp([tmp_path / "now"]) != before


def test_links_that_lead_nowhere_hide_nothing(tmp_path: Path) -> None:
    folder = write_package(tmp_path, "m", "1")
    for number in range(20):
        (folder / f"a{number}").symlink_to(folder / "absent")
    (folder / "loop").symlink_to(folder / "loop")
    before = stamp([tmp_path])
    (folder / "model.onnx").write_bytes(b"another graph")
    assert len(before) == 2
    assert stamp([tmp_path]) != before


def test_the_stamp_of_nothing_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    assert stamp([]) == stamp([tmp_path, tmp_path / "absent", tmp_path / "a file"]) == frozenset()


def test_a_package_is_removed_only_while_its_repository_can_be_seen(tmp_path: Path) -> None:
    origin = Origin.of(open_package(write_package(tmp_path / "root", "m", "1")))
    assert not origin.is_removed
    (tmp_path / "root").rename(tmp_path / "unmounted")
    assert not origin.is_removed
    (tmp_path / "root").mkdir()  # the empty place where it was mounted
    assert not origin.is_removed
    (tmp_path / "root" / "m").touch()  # a file where its model was
    assert not origin.is_removed
    (tmp_path / "root" / "m").unlink()
    (tmp_path / "root" / "n").mkdir()  # another repository, put there in one instant
    assert origin.is_removed
    (tmp_path / "root" / "n").rmdir()
    (tmp_path / "root").rmdir()
    (tmp_path / "unmounted").rename(tmp_path / "root")
    rmtree(tmp_path / "root" / "m")  # its last model
    assert origin.is_removed


def test_the_name_of_what_is_broken_can_be_written_whatever_it_is(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9/1"
    os.makedirs(folder)  # noqa: PTH103 - of bytes that are no text
    with open(folder + b"/model.yaml", "wb") as file:  # noqa: PTH123 - likewise
        file.write(b'{task: classification, family: logits, "\\ud800": 1}')
    (broken,) = scan([tmp_path]).broken
    assert (broken.name, broken.version) == ("caf?", "1")
    assert broken.problem.encode()


@pytest.mark.parametrize("name", ["model.yaml", "model.onnx"])
def test_a_pipe_among_the_files_of_a_package_holds_nobody_up(tmp_path: Path, name: str) -> None:
    """Nobody ever writes into it."""
    folder = write_package(tmp_path, "m", "1")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with ThreadPoolExecutor(1) as pool:
        looked = pool.submit(_problems, tmp_path)
        try:
            assert looked.result(10) == [
                f"{name} cannot be read: {'OSError' if name == 'model.yaml' else 'it is no file'}"
            ]
        finally:
            os.close(os.open(folder / name, os.O_RDWR))  # lets go of who waits nevertheless


def _problems(root: Path) -> list[str]:
    repository = scan([root])
    problems = [one.problem for one in repository.broken]
    for package in repository.found:
        with pytest.raises(PackageInvalid) as caught:
            package.verify()
        problems.append(caught.value.message)
    return problems


def test_a_manifest_that_is_wrong_all_over_is_told_of_briefly(tmp_path: Path) -> None:
    package = write_package(tmp_path, "m", "1")
    manifest = (package / "model.yaml").read_text()
    (package / "model.yaml").write_text(manifest.replace("accuracy: []", f"accuracy: [{'1, ' * 100_000}]"))
    (broken,) = scan([tmp_path]).broken
    assert broken.problem.startswith("model.yaml: accuracy.0: ")
    assert len(broken.problem) < 3000
