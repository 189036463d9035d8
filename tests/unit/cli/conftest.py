from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import structlog

from tests.unit.client.scripted_detection import RunningDetection, running_detection
from tests.unit.client.scripted_matching import RunningMatching, running_matching
from tests.unit.client.scripted_segmentation import RunningSegmentation, running_segmentation
from tests.unit.client.scripted_service import Running, running


@pytest.fixture
def served() -> Iterator[Running]:
    with running() as one:
        yield one


@pytest.fixture
def served_detection() -> Iterator[RunningDetection]:
    with running_detection() as one:
        yield one


@pytest.fixture
def served_matching() -> Iterator[RunningMatching]:
    with running_matching() as one:
        yield one


@pytest.fixture
def served_segmentation() -> Iterator[RunningSegmentation]:
    with running_segmentation() as one:
        yield one


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with three pictures, one of them in a folder of its own, and things that are none."""
    folder = tmp_path / "pictures"
    (folder / "inner").mkdir(parents=True)
    for name, grey in (("a.png", 40), ("b.PNG", 120), ("inner/a.png", 200)):
        (folder / name).write_bytes(cv2.imencode(".png", np.full((30, 40, 3), grey, np.uint8))[1].tobytes())
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"bad")
    return folder


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """The command silences the runtime's log for its process; the tests share one."""
    yield
    structlog.reset_defaults()
