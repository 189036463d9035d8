import pytest

from loadtests.load.exposition import Exposition, Key
from loadtests.load.reading import Reading
from loadtests.load.samples import Sample
from loadtests.load.scenario import Scenario
from loadtests.load.served_call import ServedCall
from loadtests.load.verdict import agreement_checks, memory_checks, slo_checks

NAME = "classification.unary"
CALLS = {NAME: ServedCall(NAME, "Classify", [], lambda _request, _timeout_s: 1)}


def sample(latency_s: float = 0.01, code: str = "OK", due_s: float = 5.0) -> Sample:
    return Sample(NAME, due_s, latency_s, latency_s, code, int(code == "OK"))


def scenario(**slo: object) -> Scenario:
    return Scenario.model_validate(
        {
            "description": "a test",
            "deadline_s": 1.0,
            "mix": {"classification": {"unary": 1}},
            "load": {"loop": "closed", "stages": [{"seconds": 12.0, "users": 1}]},
            "slo": {"max_error_ratio": 0.1, "min_goodput_ratio": 0.8, **slo},
        }
    )


def counted(codes: dict[str, int], lower_s: float = 0.005) -> Exposition:
    """Return counters of a service that has seen so many calls, all of them between ``lower_s`` and twice that."""
    values: dict[Key, float] = {}
    for code, count in codes.items():
        values["grpc_server_handled_total", (("grpc_code", code), ("grpc_method", "Classify"))] = count
    total = sum(codes.values())
    for bound, count in ((lower_s, 0), (2 * lower_s, total), (float("inf"), total)):
        key = "grpc_server_handling_seconds_bucket", (("grpc_method", "Classify"), ("le", str(bound)))
        values[key] = count
    return Exposition(values)


def unmet(scenario: Scenario, samples: list[Sample]) -> list[str]:
    return [check.name for check in slo_checks(scenario, samples) if not check.is_met]


def agreed(samples: list[Sample], service: Exposition, locust_count: int | None = None) -> list[bool]:
    count = len(samples) if locust_count is None else locust_count
    return [check.is_met for check in agreement_checks(samples, {NAME: count}, CALLS, {"classification": service})]


@pytest.mark.parametrize(
    ("after_warm_up_mib", "found"),
    [((100, 90, 104), ["met"]), ((100, 105), ["missed"]), ((100,), ["missed"]), ((), ["missed"])],
)
def test_memory_may_grow_so_much_after_the_warm_up(after_warm_up_mib: tuple[int, ...], found: list[str]) -> None:
    before = Reading(0.0, "classification", 0.0, 0.0, 0.0, 0.0)
    other = Reading(9.0, "detection", 0.0, 0.0, 0.0, 2.0**40)
    readings = [
        Reading(5.0 + second, "classification", 0.0, 0.0, 0.0, mib * 2.0**20)
        for second, mib in enumerate(after_warm_up_mib)
    ]
    checks = memory_checks(scenario(max_memory_growth_bytes=4 * 2**20), [before, *readings, other])
    assert ["met" if check.is_met else "missed" for check in checks] == found


def test_memory_may_grow_where_the_slo_does_not_say() -> None:
    assert memory_checks(scenario(), []) == []


def test_each_part_of_the_slo_is_held_at_its_limit_and_not_beyond() -> None:
    nine, eight = [*[sample()] * 9, sample(code="INTERNAL")], [*[sample()] * 8, *[sample(2.0)] * 2]
    assert unmet(scenario(), nine) == []
    assert unmet(scenario(), [*nine, sample(code="INTERNAL")]) == ["error ratio"]
    assert unmet(scenario(), eight) == []
    assert unmet(scenario(), [*eight, sample(2.0)]) == ["goodput ratio"]


def test_latencies_are_those_of_their_kind() -> None:
    slow = scenario(latency_ms={NAME: {"p50": 10, "p99": 20}})
    assert unmet(slow, [*[sample(0.010)] * 98, *[sample(0.020)] * 2]) == []
    assert unmet(slow, [*[sample(0.010)] * 98, *[sample(0.021)] * 2]) == [f"{NAME} p99 ms"]
    assert unmet(slow, [sample(0.011)] * 3) == [f"{NAME} p50 ms"]


def test_a_rate_is_over_the_time_after_the_warm_up() -> None:
    assert unmet(scenario(min_rate_hz=2.0), [sample()] * 20) == []
    assert unmet(scenario(min_rate_hz=2.0), [sample()] * 19) == ["answers per second"]


def test_the_warm_up_does_not_count() -> None:
    assert unmet(scenario(), [sample(), *[sample(9.0, "INTERNAL", due_s=1.9)] * 50]) == []


def test_a_run_without_calls_meets_nothing() -> None:
    assert unmet(scenario(latency_ms={NAME: {"p50": 10}}), []) == ["calls", "goodput ratio", f"{NAME} p50 ms"]


def test_equal_counts_agree() -> None:
    assert agreed([*[sample()] * 5, sample(code="INVALID_ARGUMENT")], counted({"OK": 5, "INVALID_ARGUMENT": 1})) == [
        True,
        True,
    ]


@pytest.mark.parametrize("codes", [{"OK": 4}, {"OK": 6}, {"OK": 4, "INTERNAL": 1}, {"OK": 5, "INTERNAL": 1}])
def test_one_call_more_or_less_does_not_agree(codes: dict[str, int]) -> None:
    assert agreed([sample()] * 5, counted(codes))[0] is False


def test_locust_must_have_counted_what_its_users_saw() -> None:
    assert agreed([sample()] * 5, counted({"OK": 5}), locust_count=4)[0] is False


@pytest.mark.parametrize(
    ("codes", "is_agreed"),
    [
        ({"OK": 5, "DEADLINE_EXCEEDED": 1}, True),
        ({"OK": 6}, True),  # answered in the instant in which the caller gave up
        ({"OK": 5}, True),  # never came there
        ({"OK": 7}, False),
        ({"OK": 4, "DEADLINE_EXCEEDED": 2}, False),
    ],
)
def test_a_call_that_we_gave_up_may_be_seen_differently(codes: dict[str, int], is_agreed: bool) -> None:  # noqa: FBT001
    assert agreed([*[sample()] * 5, sample(1.0, "DEADLINE_EXCEEDED")], counted(codes))[0] is is_agreed


def test_an_incomplete_answer_was_ok_to_the_service() -> None:
    assert agreed([sample(), sample(code="INCOMPLETE")], counted({"OK": 2}))[0] is True


def test_the_service_cannot_be_slower_than_its_callers_saw() -> None:
    assert agreed([sample(0.010)] * 100, counted({"OK": 100}, lower_s=0.010))[1] is True
    assert agreed([sample(0.010)] * 100, counted({"OK": 100}, lower_s=0.011))[1] is False
