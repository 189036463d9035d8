import math
from pathlib import Path

import pytest

from loadtests.load.scenario import SERVICES, Scenario, ScenarioInvalid, load_scenario, scenario_names

TEXT = """
description = "a test"
deadline_s = 1.0
warm_up_s = 1.0
[mix.classification]
unary = 3
batch = 1
[mix.detection]
stream = 4
[load]
loop = "closed"
stages = [{ seconds = 2, users = 3 }, { seconds = 4, users = 1 }]
[slo]
max_error_ratio = 0.0
min_goodput_ratio = 1.0
"""


def read(text: str, folder: Path) -> Scenario:
    path = folder / "scenario.toml"
    path.write_text(text)
    return load_scenario(str(path))


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_that_ships_can_be_read(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.slo.latency_ms or scenario.slo.max_error_ratio < 1


def test_there_is_a_scenario_for_each_service_and_each_shape_of_load() -> None:
    scenarios = {name: load_scenario(name) for name in scenario_names()}
    assert {service for scenario in scenarios.values() for service in scenario.mix} == set(SERVICES)
    assert {"capacity", "constant", "ramp", "spike", "soak", "mixed", "smoke"} <= scenarios.keys()
    assert {scenario.load.loop for scenario in scenarios.values()} == {"closed", "open"}


def test_shares_are_those_of_the_weights(tmp_path: Path) -> None:
    scenario = read(TEXT, tmp_path)
    assert (scenario.share("classification"), scenario.share("detection")) == (0.5, 0.5)
    assert scenario.calls == ["classification.unary", "classification.batch", "detection.stream"]


def test_a_scaled_scenario_has_the_same_stages_in_less_time(tmp_path: Path) -> None:
    scenario = read(TEXT, tmp_path).scaled(0.5)
    assert [(stage.seconds, stage.users) for stage in scenario.load.stages] == [(1.0, 3), (2.0, 1)]
    assert (scenario.seconds, scenario.warm_up_s) == (3.0, 0.5)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("deadline_s = 1.0", "deadline_ms = 1.0", "deadline_ms: Extra inputs"),
        ("deadline_s = 1.0", "deadline_s = 0.0", "deadline_s: Input should be greater than 0"),
        ("seconds = 2", "seconds = inf", "load.stages.0.seconds: Input should be a finite number"),
        ("users = 3", "rate_hz = 3", "a closed loop has users and not rate_hz"),
        ('"closed"', '"open"', "a open loop has rate_hz and not users"),
        ("unary = 3", "unary = 0", "weights are above 0"),
        ("unary = 3", "twice = 3", "mix.classification.twice"),
        ("mix.detection", "mix.divination", "mix.divination"),
        ("warm_up_s = 1.0", "warm_up_s = 6.0", "leaves nothing"),
        ("[slo]", '[slo.latency_ms."matching.unary"]\np50 = 1\n[slo]', "matching.unary is not in the mix"),
        ("[slo]", "[slo", "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(old: str, new: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioInvalid) as refusal:
        read(TEXT.replace(old, new, 1), tmp_path)
    assert problem in str(refusal.value)


@pytest.mark.parametrize("factor", [0.0, -1.0, math.nan, math.inf])
def test_a_scenario_that_lasts_no_time_or_for_ever_is_refused(factor: float, tmp_path: Path) -> None:
    with pytest.raises(ScenarioInvalid, match="--time-scale"):
        read(TEXT, tmp_path).scaled(factor)


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(ScenarioInvalid, match=r"there is no scenario nothing; there are capacity, .*smoke"):
        load_scenario("nothing")
