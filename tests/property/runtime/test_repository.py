"""Laws of the repository: a scan never raises, finds exactly the good, and lists every version in its order."""

import tempfile
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from retinue.runtime.errors import ModelNotFound
from retinue.runtime.repository import scan, version_key
from tests.unit.runtime.numbers_read import write_package

NAMES = st.from_regex(r"[a-c][a-z0-9]?", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2})?(-rc[0-9])?", fullmatch=True)
STATES = st.sampled_from(["good", "good", "empty", "junk", "binary", "renamed", "file", "dangling"])
RELEASES = st.lists(st.integers(0, 200), min_size=1, max_size=4)


def _place(root: Path, name: str, version: str, state: str) -> None:
    """Put something under a root where a package may lie."""
    place = root / name / version
    place.parent.mkdir(parents=True, exist_ok=True)
    if state == "good":
        write_package(root, name, version)
    elif state == "file":
        place.write_text("no folder")
    elif state == "dangling":
        place.symlink_to(root / "nowhere")
    elif state == "renamed":
        write_package(root, name, "77777").rename(place)
    else:
        place.mkdir()
        if state != "empty":
            (place / "model.yaml").write_bytes(b"{" if state == "junk" else b"\xff\x00")


@given(roots=st.lists(st.dictionaries(st.tuples(NAMES, VERSIONS), STATES, max_size=5), min_size=1, max_size=2))
@settings(max_examples=60, deadline=None)
def test_scan_finds_the_good_and_lists_the_broken(roots: list[dict[tuple[str, str], str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / str(number) for number in range(len(roots))]
        for path, places in zip(paths, roots, strict=True):
            for (name, version), state in places.items():
                _place(path, name, version, state)
        repository = scan(paths)

        good: dict[tuple[str, str], Path] = {}
        for path, places in zip(paths, roots, strict=True):
            for (name, version), state in places.items():
                if state == "good":
                    good.setdefault((name, version), path / name / version)
        found = {(package.name, package.version): package.folder for package in repository.packages()}
        assert found == good
        broken = [
            (path / name / version)
            for path, places in zip(paths, roots, strict=True)
            for (name, version), state in places.items()
            if state in ("empty", "junk", "binary", "renamed")
        ]
        assert sorted(package.folder for package in repository.broken) == sorted(broken)
        for name in {name for name, _ in good}:
            versions = [package.version for package in repository.packages() if package.name == name]
            assert versions == sorted(versions, key=version_key)
            assert repository.find(name).version == versions[-1]
        for (name, version), place in good.items():
            assert repository.find(name, version).folder == place


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_name_that_is_asked_for_is_found_or_not(name: str, version: str) -> None:
    """Names are compared, never joined to a path."""
    try:
        scan([Path("/nowhere")]).find(name, version)
    except ModelNotFound as error:
        assert error.metadata == {"model": name, "version": version}  # noqa: PT017 - nothing else may be raised


@given(RELEASES, RELEASES)
def test_releases_compare_as_numbers(one: list[int], other: list[int]) -> None:
    keys = [version_key(".".join(map(str, release))) for release in (one, other)]

    assert (keys[0] < keys[1]) == (one < other)
    assert (keys[0] == keys[1]) == (one == other)


@given(RELEASES, st.text("abcxyz", min_size=1, max_size=5), RELEASES)
def test_release_comes_after_what_leads_to_it_and_before_the_next(
    release: list[int], word: str, more: list[int]
) -> None:
    version = ".".join(map(str, release))
    following = ".".join(map(str, [*release[:-1], release[-1] + 1]))
    leading = f"{version}-{word}{'.'.join(map(str, more))}"

    assert version_key(leading) < version_key(version) < version_key(f"{version}.0") < version_key(following)
    assert version_key(version) < version_key(f"{following}-{word}")


@given(st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True), max_size=6), st.randoms())
def test_any_versions_have_one_order(versions: list[str], random: Random) -> None:
    keys = sorted(map(version_key, versions))
    random.shuffle(versions)

    assert sorted(map(version_key, versions)) == keys
