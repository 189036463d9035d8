"""What can be said of the images without building one."""

import re
import shutil
import subprocess
import sys
import tomllib
from difflib import ndiff
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from loadtests.service_process import REPOSITORY

DOCKER = REPOSITORY / "deploy" / "docker"
DOCKERFILES = ("Dockerfile", "Dockerfile.gpu", "Dockerfile.models")
VARIANTS = ("cpu", "gpu")
LOCKED = re.compile(r"(?P<name>[\w.-]+)==(?P<version>\S+) --hash=sha256:[0-9a-f]{64}")


def locked(variant: str) -> dict[str, str]:
    """Return the versions of a lock by canonical name; every line must be one package with one digest."""
    lines = (DOCKER / f"requirements-{variant}.txt").read_text().splitlines()
    found = [LOCKED.fullmatch(line) for line in lines if not line.startswith("#")]
    assert None not in found
    return {canonicalize_name(match["name"]): match["version"] for match in found if match}


@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_finds_nothing(name: str) -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}") or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, str(DOCKER / name)], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", DOCKERFILES[:2])
def test_a_service_runs_as_nobody_with_one_process_that_hears_the_signal(name: str) -> None:
    *_, last = (DOCKER / name).read_text().split("\nFROM ")
    lines = last.splitlines()
    assert "USER 65532:65532" in lines
    assert "STOPSIGNAL SIGTERM" in lines
    assert 'ENTRYPOINT ["/opt/retinue/bin/python", "/app"]' in lines
    assert not [line for line in lines if line.startswith(("RUN", "ADD"))]  # whatever builds is in the other stage


def test_the_gpu_image_differs_in_what_it_must_alone() -> None:
    cpu, gpu = ((DOCKER / name).read_text().splitlines() for name in DOCKERFILES[:2])
    differing = [line[2:].strip() for line in ndiff(cpu, gpu) if line.startswith(("-", "+"))]
    code = [line for line in differing if not line.startswith("#")]
    assert all("cpu" in line or "gpu" in line or line.startswith("NVIDIA_") for line in code), code


def test_every_image_starts_from_a_base_that_can_be_named() -> None:
    for name in DOCKERFILES:
        bases = re.findall(r"^FROM (\S+)", (DOCKER / name).read_text(), re.MULTILINE)
        assert set(bases) <= {"${PYTHON_IMAGE}", "scratch"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_images_install_the_versions_of_the_constraints(variant: str) -> None:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    constraints: dict[str, str] = {
        canonicalize_name(name): version
        for name, _, version in (line.partition("==") for line in lines if not line.startswith("#"))
    }
    versions = locked(variant)
    assert {name: version for name, version in versions.items() if constraints.get(name, version) != version} == {}
    assert [name for name in versions if name not in constraints and not name.startswith("nvidia-")] == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_images_install_all_that_the_project_asks_for_and_no_training(variant: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [Requirement(text) for text in (*project["dependencies"], *extras[variant], *extras["tracing"])]
    versions = locked(variant)
    assert [str(one) for one in wanted if not one.specifier.contains(versions[canonicalize_name(one.name)])] == []
    assert not {"torch", "onnx", "pytest", "grpcio-tools"} & versions.keys()


def test_the_context_holds_what_is_copied_and_nothing_secret() -> None:
    first, *rest = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
    assert first == "*"
    allowed = {line[1:] for line in rest if line.startswith("!")}
    assert allowed == {"build/wheelhouse", "deploy/docker/requirements-*.txt", "services"}


@pytest.mark.parametrize("path", sorted(DOCKER.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_valid_and_can_be_run(path: Path) -> None:
    assert subprocess.run(["sh", "-n", str(path)], timeout=10, check=False).returncode == 0  # noqa: S607
    assert path.stat().st_mode & 0o111


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("path", sorted(DOCKER.glob("*.sh")), ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    done = subprocess.run(["shellcheck", str(path)], capture_output=True, text=True, timeout=30, check=False)  # noqa: S607
    assert (done.returncode, done.stdout) == (0, "")
