"""What stands behind the service: from not ready to ended."""

import pytest
from prometheus_client import CollectorRegistry

from retinue.runtime.errors import ModelNotReady
from retinue.serving.metrics import Load, Metrics
from services.matching.settings import MatchingSettings, SolvingSettings
from services.matching.work import MatchingService


def test_it_is_ready_when_it_is_warm_and_ends_with_its_threads() -> None:
    work = MatchingService.work(MatchingSettings(solving=SolvingSettings(workers=2)), Metrics(CollectorRegistry()))
    assert (work.is_ready, work.names, work.loads()) == (False, [], [])
    assert [entry.is_ready for entry in work.tensor_models.index()] == [False]
    with pytest.raises(ModelNotReady):
        work.tensor_models.get("assign", "")
    work.load()
    assert (work.is_ready, work.names) == (True, ["assign@1"])
    assert work.loads() == [Load("assign", "1", "cpu", 0)]
    work.close(timeout_s=5)
    assert not any(thread.is_alive() for thread in work._pool._threads)
