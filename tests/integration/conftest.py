"""A real classification service in a process of its own, shared by the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.service_process import REPOSITORY, ServiceProcess
from retinue.client import ClassificationClient

# Programs of their own: their protos and ours cannot live in one process.
collect_ignore = ["ask_triton.py", "ask_triton_assign.py", "ask_triton_boxes.py"]
SAMPLES = REPOSITORY / "services" / "classification" / "samples"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with ServiceProcess("classification", tmp_path_factory.mktemp("service") / "service.log") as process:
        yield process


@pytest.fixture
def client(service: ServiceProcess) -> Iterator[ClassificationClient]:
    with ClassificationClient(service.target) as client:
        yield client


@pytest.fixture(scope="session")
def samples() -> list[Path]:
    """The demo's pictures of digits; the name of each begins with what is on it."""
    return sorted(path for path in SAMPLES.iterdir() if path.suffix in (".jpg", ".png"))
