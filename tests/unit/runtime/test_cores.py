"""The cores that may really be used, read from trees that look like the kernel's."""

import os
from pathlib import Path

import pytest

from retinue.runtime.cores import available_cores


@pytest.fixture(autouse=True)
def _sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


def cores(tmp_path: Path, membership: str, **files: str) -> int:
    """Return the cores where these files are the cgroup tree; ``__`` in a name stands for a slash."""
    root, proc = tmp_path / "cgroup", tmp_path / "self"
    proc.write_text(membership)
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return available_cores(root, proc)


def test_affinity_counts_where_there_is_no_limit(tmp_path: Path) -> None:
    assert cores(tmp_path, "0::/\n") == 16


def test_this_machine_has_at_least_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 1 <= available_cores() <= len(os.sched_getaffinity(0))


def test_absent_tree_and_membership_leave_the_affinity(tmp_path: Path) -> None:
    assert available_cores(tmp_path / "nowhere", tmp_path / "nothing") == 16


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000", 16),
        ("400000 100000", 4),
        ("250000 100000", 3),  # rounded up: 2.5 cores keep three workers busy
        ("50000 100000", 1),
        ("1000 100000", 1),
        ("100 10", 10),
        ("9900000 100000", 16),  # more than there are
    ],
)
def test_version_2_limit_of_a_container(tmp_path: Path, limit: str, expected: int) -> None:
    """Inside a container its own group is mounted as the root."""
    assert cores(tmp_path, "0::/\n", **{"cpu.max": f"{limit}\n"}) == expected


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [("200000 100000", "max 100000", 2), ("max 100000", "300000 100000", 3), ("200000 100000", "300000 100000", 2)],
)
def test_smallest_limit_of_all_levels_counts(tmp_path: Path, outer: str, inner: str, expected: int) -> None:
    files = {"pods__cpu.max": outer, "pods__one__cpu.max": inner}

    assert cores(tmp_path, "0::/pods/one\n", **files) == expected


def test_limit_of_another_group_does_not_count(tmp_path: Path) -> None:
    assert cores(tmp_path, "0::/mine\n", **{"other__cpu.max": "100000 100000"}) == 16


@pytest.mark.parametrize("controllers", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize("group", ["", "docker__abc__"])
def test_version_1_limit(tmp_path: Path, controllers: str, group: str) -> None:
    files = {
        f"{controllers}__{group}cpu.cfs_quota_us": "150000\n",
        f"{controllers}__{group}cpu.cfs_period_us": "50000\n",
    }
    path = "/" + group.replace("__", "/").rstrip("/")

    assert cores(tmp_path, f"11:memory:/x\n4:{controllers}:{path}\n1:name=systemd:/y\n", **files) == 3


def test_version_1_without_a_limit(tmp_path: Path) -> None:
    files = {"cpu__cpu.cfs_quota_us": "-1\n", "cpu__cpu.cfs_period_us": "100000\n"}

    assert cores(tmp_path, "4:cpu:/\n", **files) == 16


def test_version_1_group_of_another_controller_does_not_count(tmp_path: Path) -> None:
    files = {"cpuset__cpu.cfs_quota_us": "100000", "cpuset__cpu.cfs_period_us": "100000"}

    assert cores(tmp_path, "4:cpuset:/\n", **files) == 16


@pytest.mark.parametrize(
    "limit",
    [
        "",
        "max",
        "a b",
        "1 2 3",
        "100000 0",
        "0 100000",
        "-5 100000",
        "1e5 100000",
        "9" * 400 + " 1",
        "\x00",
    ],
)
def test_garbage_in_a_limit_is_no_limit(tmp_path: Path, limit: str) -> None:
    files = {"cpu.max": limit, "cpu__cpu.cfs_quota_us": limit, "cpu__cpu.cfs_period_us": "100000"}

    assert cores(tmp_path, "0::/\n", **files) == 16


@pytest.mark.parametrize("name", ["cpu.max", "cpu/cpu.cfs_quota_us"])
def test_bytes_that_are_no_text_are_no_limit(tmp_path: Path, name: str) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / name).write_bytes(b"\xff\xfe 1")

    assert available_cores(tmp_path, tmp_path / "nothing") == 16


@pytest.mark.parametrize(
    "membership", [b"", b"\n\n", b"nonsense", b"1:2", b"::", b":", b"\xff\xfe", b"0::/../../etc\n"]
)
def test_garbage_in_the_membership_leaves_the_affinity(tmp_path: Path, membership: bytes) -> None:
    (tmp_path / "self").write_bytes(membership)

    assert available_cores(tmp_path / "cgroup", tmp_path / "self") == 16
