"""Print what an image installs: every package at its version in constraints.txt, with the sha256 of its wheel.

Run as `python deploy/docker/lock.py cpu > deploy/docker/requirements-cpu.txt` after a change of pyproject.toml or
constraints.txt, on the platform of the images: Linux, x86-64, Python 3.11. Nothing is downloaded but metadata.
"""

import json
import platform
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = ("Linux", "x86_64", "3.11")
# What NVIDIA's libraries need comes as wheels too, so that the image has no other base than the CPU's.
VARIANTS = {"cpu": (), "gpu": ("onnxruntime-gpu[cuda,cudnn]",)}


def requirements(variant: str) -> list[str]:
    """Return what a service needs: the project's dependencies, this variant's ONNX Runtime, what makes traces."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *extras[variant], *extras["tracing"], *VARIANTS[variant]]


def locked(variant: str) -> Iterator[str]:
    """Yield one line for each package that pip would install.

    Raises:
        subprocess.CalledProcessError: pip finds no set of versions.
    """
    with tempfile.NamedTemporaryFile("r", suffix=".json") as report:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        pip += ["--only-binary", ":all:", "-c", str(ROOT / "constraints.txt"), "--report", report.name]
        subprocess.run([*pip, *requirements(variant)], check=True)
        packages = json.load(report)["install"]
    for package in sorted(packages, key=lambda package: str(package["metadata"]["name"]).lower()):
        digest = package["download_info"]["archive_info"]["hashes"]["sha256"]
        yield f"{package['metadata']['name']}=={package['metadata']['version']} --hash=sha256:{digest}"


def main() -> int:
    """Print the lock of the variant that is named."""
    here = (platform.system(), platform.machine(), ".".join(platform.python_version_tuple()[:2]))
    if here != PLATFORM or sys.argv[1:] not in [[variant] for variant in VARIANTS]:
        print(f"usage: lock.py {'|'.join(VARIANTS)}, on {' '.join(PLATFORM)}", file=sys.stderr)
        return 2
    print(f"# Made by deploy/docker/lock.py {sys.argv[1]}; for {' '.join(PLATFORM)}.")
    for line in locked(sys.argv[1]):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
