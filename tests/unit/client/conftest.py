from collections.abc import Iterator

import pytest

from retinue.client.classification import ClassificationClient
from tests.unit.client.scripted_service import Running, running


@pytest.fixture
def served() -> Iterator[Running]:
    with running() as one:
        yield one


@pytest.fixture
def client(served: Running) -> Iterator[ClassificationClient]:
    with ClassificationClient(served.address) as one:
        yield one
