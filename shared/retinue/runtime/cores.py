"""How many cores this process may really use: the container's share, not the host's."""

import math
import os
from pathlib import Path

_CGROUP_ROOT = Path("/sys/fs/cgroup")


def available_cores(root: Path = _CGROUP_ROOT, proc: Path = Path("/proc/self/cgroup")) -> int:
    """Return the number of cores, at least 1: the smaller of the CPU affinity and the cgroup's quota, rounded up.

    Both cgroup versions are read, and every level up to the root, since a limit may be set on any of them.

    Source:
        Linux kernel documentation, "Control Group v2" (cpu.max) and "CFS Bandwidth Control" (cpu.cfs_quota_us).
    """
    affinity = len(os.sched_getaffinity(0))
    quotas = [quota for folder in _cgroup_folders(root, proc) if (quota := _quota(folder)) is not None]
    return max(1, min([affinity, *(math.ceil(quota) for quota in quotas)]))


def _cgroup_folders(root: Path, proc: Path) -> list[Path]:
    """Return the folders that may hold this process's CPU limit, inner ones first."""
    folders = [root, root / "cpu", root / "cpu,cpuacct"]  # inside a container the own group is mounted as the root
    try:
        lines = proc.read_text().splitlines()
    except (OSError, ValueError):  # ValueError: no text
        return folders
    for line in lines:
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root if not controllers else root / controllers
        group = base / path.lstrip("/")
        folders += [group, *(parent for parent in group.parents if parent.is_relative_to(base))]
    return folders


def _quota(folder: Path) -> float | None:
    """Return the CPU limit of one cgroup folder in cores, None where it sets none."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        except (OSError, ValueError):
            return None
    if quota in ("max", "-1"):
        return None
    try:
        cores = int(quota) / int(period)
    except (ValueError, ArithmeticError):
        return None
    return cores if cores > 0 else None
