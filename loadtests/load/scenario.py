"""A scenario: who is called how often, in which stages, and what must hold. One TOML file each, in `scenarios/`."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FOLDER = Path(__file__).with_name("scenarios")
SERVICES = ("classification", "detection", "segmentation", "matching")
_LARGEST_SCALE = 1000

Service = Literal["classification", "detection", "segmentation", "matching"]
Kind = Literal["unary", "batch", "stream"]


class ScenarioInvalid(Exception):
    """The file holds no scenario; the message names each key."""


class Table(BaseModel):
    """A table of the file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Stage(Table):
    """So many seconds of the same load, or of one that changes evenly."""

    seconds: float = Field(gt=0, description="How long it lasts.")
    users: int | None = Field(default=None, ge=1, description="Closed loop: callers that each wait for their answer.")
    rate_hz: float | None = Field(default=None, ge=0, description="Open loop: calls begun per second, at the start.")
    to_rate_hz: float | None = Field(default=None, ge=0, description="Open loop: the same at the end; default rate_hz.")

    @property
    def end_rate_hz(self) -> float:
        """Calls per second at the end of the stage."""
        return (self.rate_hz or 0.0) if self.to_rate_hz is None else self.to_rate_hz


class Load(Table):
    """How calls come.

    In a closed loop every user waits for the answer before it calls again: it finds what a service can do, and hides
    what waiting costs. In an open loop calls come when they are due, answered or not: it is what an SLO is about.
    """

    loop: Literal["closed", "open"]
    arrivals: Literal["constant", "poisson"] = Field(default="constant", description="Open loop: evenly, or by chance.")
    max_outstanding: int = Field(default=512, ge=1, description="Open loop: calls under way; beyond, the run is void.")
    stages: tuple[Stage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _stages_fit_the_loop(self) -> Self:
        wanted, other = ("users", ("rate_hz", "to_rate_hz")) if self.loop == "closed" else ("rate_hz", ("users",))
        for index, stage in enumerate(self.stages):
            if getattr(stage, wanted) is None or any(getattr(stage, name) is not None for name in other):
                raise ValueError(f"stages[{index}]: a {self.loop} loop has {wanted} and not {' or '.join(other)}")
        if self.loop == "open" and not any((stage.rate_hz or 0) + stage.end_rate_hz for stage in self.stages):
            raise ValueError("no stage has a rate above 0")
        return self


class LatencyTarget(Table):
    """Latencies that calls of one kind must keep."""

    p50: float | None = Field(default=None, gt=0, description="Median, milliseconds.")
    p99: float | None = Field(default=None, gt=0, description="99th percentile, milliseconds.")


class Slo(Table):
    """What must hold over the calls that came after the warm-up."""

    max_error_ratio: float = Field(ge=0, le=1, description="Calls without a full answer, of all calls.")
    min_goodput_ratio: float = Field(
        ge=0, le=1, description="Calls answered in full within the deadline, of all calls."
    )
    min_rate_hz: float = Field(default=0, ge=0, description="Calls answered in full per second.")
    max_memory_growth_bytes: float | None = Field(
        default=None, ge=0, description="Resident memory of a service at the end, above that after the warm-up."
    )
    latency_ms: Mapping[str, LatencyTarget] = Field(default_factory=dict, description="By `service.kind`.")


class Scenario(Table):
    """One load test."""

    description: str
    seed: int = Field(default=1, ge=0, description="Of the pictures, of who calls what, and of arrivals by chance.")
    deadline_s: float = Field(gt=0, description="Deadline of every call; within it an answer counts as goodput.")
    warm_up_s: float = Field(default=2.0, ge=0, description="Calls due before this are not held against the SLO.")
    batch_count: int = Field(default=8, ge=1, le=64, description="Pictures or problems in one batch call.")
    stream_count: int = Field(default=8, ge=1, description="Pictures, tiles or frames in one stream.")
    mix: Mapping[Service, Mapping[Kind, float]] = Field(min_length=1, description="Weight of each kind of call.")
    load: Load
    slo: Slo
    environment: Mapping[Service, Mapping[str, str]] = Field(
        default_factory=dict, description="Settings of the services that are started, as variables."
    )

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        if any(weight <= 0 for weights in self.mix.values() for weight in weights.values()):
            raise ValueError("mix: weights are above 0")
        if not all(self.mix.values()):
            raise ValueError("mix: every service has at least one kind of call")
        if strange := [name for name in self.slo.latency_ms if name not in self.calls]:
            raise ValueError(f"slo.latency_ms: {', '.join(strange)} is not in the mix")
        if self.warm_up_s >= self.seconds:
            raise ValueError(f"warm_up_s: {self.warm_up_s} leaves nothing of {self.seconds} seconds")
        return self

    @property
    def calls(self) -> Sequence[str]:
        """What is called, as ``service.kind``."""
        return [f"{service}.{kind}" for service, weights in self.mix.items() for kind in weights]

    @property
    def seconds(self) -> float:
        """Length of all stages."""
        return sum(stage.seconds for stage in self.load.stages)

    def share(self, service: Service) -> float:
        """Return the part of all calls that one service gets, in (0, 1]."""
        totals = {name: sum(weights.values()) for name, weights in self.mix.items()}
        return totals[service] / sum(totals.values())

    def scaled(self, factor: float) -> "Scenario":
        """Return the same scenario with stages and warm-up so many times as long, to try a soak in a minute.

        Raises:
            ScenarioInvalid: the factor is not above 0, or above 1000.
        """
        if not 0 < factor <= _LARGEST_SCALE:  # nor NaN
            raise ScenarioInvalid(f"--time-scale {factor:g} is not above 0 and at most {_LARGEST_SCALE}")
        stages = tuple(stage.model_copy(update={"seconds": stage.seconds * factor}) for stage in self.load.stages)
        load = self.load.model_copy(update={"stages": stages})
        return self.model_copy(update={"load": load, "warm_up_s": self.warm_up_s * factor})


def scenario_names() -> Sequence[str]:
    """Return the names of the scenarios that there are."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_scenario(name: str) -> Scenario:
    """Return a scenario by its name, or by the path of its file.

    Raises:
        ScenarioInvalid: there is none, or its file cannot be used.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        return Scenario.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise ScenarioInvalid(f"there is no scenario {name}; there are {', '.join(scenario_names())}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioInvalid(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc'])) or 'scenario'}: {one['msg']}" for one in error.errors()]
        raise ScenarioInvalid(f"{path}: {'; '.join(problems)}") from error
