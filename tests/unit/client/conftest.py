from collections.abc import Iterator

import pytest

from retinue.client.classification import ClassificationClient
from retinue.client.detection import DetectionClient
from retinue.client.matching import MatchingClient
from retinue.client.segmentation import SegmentationClient
from tests.unit.client.scripted_detection import RunningDetection, running_detection
from tests.unit.client.scripted_matching import RunningMatching, running_matching
from tests.unit.client.scripted_segmentation import RunningSegmentation, running_segmentation
from tests.unit.client.scripted_service import Running, running


@pytest.fixture
def served() -> Iterator[Running]:
    with running() as one:
        yield one


@pytest.fixture
def client(served: Running) -> Iterator[ClassificationClient]:
    with ClassificationClient(served.address) as one:
        yield one


@pytest.fixture
def served_detection() -> Iterator[RunningDetection]:
    with running_detection() as one:
        yield one


@pytest.fixture
def detector(served_detection: RunningDetection) -> Iterator[DetectionClient]:
    with DetectionClient(served_detection.address) as one:
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
def matcher(served_matching: RunningMatching) -> Iterator[MatchingClient]:
    with MatchingClient(served_matching.address) as one:
        yield one


@pytest.fixture
def segmenter(served_segmentation: RunningSegmentation) -> Iterator[SegmentationClient]:
    with SegmentationClient(served_segmentation.address) as one:
        yield one
