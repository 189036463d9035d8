"""The metrics and those who feed them; their names and labels are compared with docs/metrics.md by a contract test."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from retinue.runtime.models import ModelState, ModelStatus
from retinue.runtime.timings import Timings
from retinue.serving.metrics import BATCH_BUCKETS, CALL_BUCKETS_S, IMAGE_BUCKETS_BYTES, STAGE_BUCKETS_S, Load, Metrics

MODEL = {"model": "digits", "version": "1"}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(registry)


def samples(registry: CollectorRegistry) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in registry.collect():
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def test_two_services_in_one_process_share_nothing(metrics: Metrics) -> None:
    other = Metrics(CollectorRegistry())
    other.rejected.labels("deadline").inc()
    assert metrics.registry.get_sample_value("retinue_rejected_total", {"reason": "deadline"}) == 0


@pytest.mark.parametrize("reason", ["queue_full", "deadline_unmet", "in_flight", "deadline", "cancelled", "draining"])
def test_every_reason_of_rejection_is_there_from_the_start(
    metrics: Metrics, registry: CollectorRegistry, reason: str
) -> None:
    """A rate over a series that appears with its first value misses that value."""
    assert registry.get_sample_value("retinue_rejected_total", {"reason": reason}) == 0


def test_no_series_says_when_another_was_created(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.engine_observer("digits", "1").on_batch(1, 0.1)
    assert b"_created" not in generate_latest(registry)


@pytest.mark.parametrize("buckets", [CALL_BUCKETS_S, STAGE_BUCKETS_S, BATCH_BUCKETS, IMAGE_BUCKETS_BYTES])
def test_buckets_grow(buckets: tuple[float, ...]) -> None:
    assert list(buckets) == sorted(set(buckets))


def test_the_image_buckets_hold_the_default_limit() -> None:
    assert IMAGE_BUCKETS_BYTES[-1] >= 20 * 2**20


def test_a_batch_is_counted_once_with_its_size(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.engine_observer(**MODEL).on_batch(5, 0.02)
    assert registry.get_sample_value("retinue_batch_size_sum", MODEL) == 5
    assert registry.get_sample_value("retinue_inference_seconds_count", MODEL) == 1
    assert registry.get_sample_value("retinue_inference_seconds_sum", MODEL) == 0.02


def test_an_answer_is_counted_in_each_stage_but_inference(metrics: Metrics, registry: CollectorRegistry) -> None:
    """Inference is counted per batch, or shared runs would count several times."""
    metrics.engine_observer(**MODEL).on_answer(Timings(0.1, 0.2, 0.3, 0.4, 0.5, 6))
    for stage, seconds in (("queue_wait", 0.1), ("decode", 0.2), ("preprocess", 0.3), ("postprocess", 0.5)):
        assert registry.get_sample_value(f"retinue_{stage}_seconds_sum", MODEL) == seconds
    assert registry.get_sample_value("retinue_inference_seconds_count", MODEL) == 0


def test_a_failed_item_is_counted_with_its_model(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.engine_observer(**MODEL).on_failure()
    assert registry.get_sample_value("retinue_failed_total", MODEL) == 1


@pytest.mark.parametrize("reason", ["queue_full", "deadline_unmet", "deadline", "cancelled"])
def test_a_refused_or_dropped_item_is_counted_with_its_reason(
    metrics: Metrics, registry: CollectorRegistry, reason: str
) -> None:
    metrics.engine_observer(**MODEL).on_drop(reason)
    assert registry.get_sample_value("retinue_rejected_total", {"reason": reason}) == 1


def test_load_is_read_when_metrics_are_collected(metrics: Metrics, registry: CollectorRegistry) -> None:
    loads: list[Load] = []
    metrics.observe_load(lambda: loads, lambda: 7)
    assert registry.get_sample_value("retinue_in_flight_calls") == 7
    assert registry.get_sample_value("retinue_queue_length", MODEL) is None
    loads.append(Load("digits", "1", "cpu", queue_length=3))
    assert registry.get_sample_value("retinue_queue_length", MODEL) == 3
    assert registry.get_sample_value("retinue_model_info", MODEL | {"backend": "cpu"}) == 1


def test_states_of_models_are_read_when_metrics_are_collected(metrics: Metrics, registry: CollectorRegistry) -> None:
    statuses = [ModelStatus("digits", "1", ModelState.LOADING)]
    metrics.observe_models(lambda: statuses, lambda: 2)

    def states() -> list[float | None]:
        return [registry.get_sample_value("retinue_model_state", MODEL | {"state": state}) for state in ModelState]

    assert states() == [1, 0, 0, 0]
    statuses[0] = ModelStatus("digits", "1", ModelState.BROKEN, "why")
    assert states() == [0, 0, 1, 0]
    assert registry.get_sample_value("retinue_draining_engines") == 2


def test_loads_are_counted_by_outcome_each_from_zero_on(metrics: Metrics, registry: CollectorRegistry) -> None:
    def counts() -> list[float | None]:
        labels = [MODEL | {"outcome": outcome} for outcome in ("loaded", "failed")]
        return [registry.get_sample_value("retinue_model_loads_total", one) for one in labels]

    metrics.on_model_load("digits", "1", True)
    assert counts() == [1, 0]
    metrics.on_model_load("digits", "1", False)
    assert counts() == [1, 1]


def test_a_model_that_was_never_asked_shows_zeros(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.engine_observer(**MODEL)
    assert {value for name, labels, value in samples(registry) if labels.get("model") == "digits"} == {0}


def test_solved_problems_are_counted_with_their_size_and_pairs() -> None:
    metrics = Metrics(CollectorRegistry())
    observer = metrics.solve_observer("points")
    observer.on_solved(0.002, 3, 1, 2)
    observer.on_scored(0.5, 100)

    def sample(name: str) -> float | None:
        value: float | None = metrics.registry.get_sample_value(name, {"problem": "points"})
        return value

    assert (sample("retinue_problem_cells_count"), sample("retinue_problem_cells_sum")) == (2, 4 * 5 + 100)
    assert (sample("retinue_solve_seconds_count"), sample("retinue_solve_seconds_sum")) == (2, 0.502)
    assert (sample("retinue_pairs_total"), sample("retinue_unpaired_total")) == (3, 3)
