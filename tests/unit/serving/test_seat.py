"""What a worker process hears of its supervisor, and says."""

import threading
from multiprocessing import Pipe
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from retinue.runtime.errors import LoadFailed, ModelNotFound, ModelNotReady
from retinue.runtime.model_control import ModelControl
from retinue.runtime.models import Models
from retinue.runtime.picture import Picture
from retinue.runtime.repository import scan, stamp
from retinue.serving.link import Link, LinkFailed
from retinue.serving.model_keeper import ModelKeeper
from retinue.serving.seat import Condition, Seat, Start
from retinue.serving.settings import HostSettings, ModelSettings
from tests.unit.serving.in_process import PATIENCE_S
from tests.unit.serving.tiny_engine import idle_engine
from tests.unit.serving.tiny_package import write_package


class Seated:
    """A seat with models of its own, and the supervisor's end of its link."""

    def __init__(self, root: Path) -> None:
        ours, theirs = Pipe()
        ours.send(Start(1, HostSettings(), 5, False, {"tiny": "unload"}))
        self.seat = Seat(theirs)
        self.models: Models[Picture, float] = Models(scan([root]), task="classification")
        control = ModelControl(
            self.models, lambda: scan([root]), lambda: stamp([root]), lambda package: idle_engine(package.manifest)
        )
        self.keeper = ModelKeeper(control, ModelSettings(is_control_allowed=True))
        registry = CollectorRegistry()
        Counter("calls_total", "Calls.", registry=registry).inc(3)
        self.is_ended = threading.Event()
        self.told: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self.condition: Condition | None = None
        self.is_faulty = False
        self.supervisor = Link(ours, self.hear)
        self.supervisor.start(lambda: None)
        self.seat.take(registry, self.keeper, self.is_ended.set)
        control.start()

    def hear(self, what: str, content: Any) -> Any:
        self.told.put((what, content))
        if self.is_faulty:
            raise ZeroDivisionError
        return self.condition

    def names(self) -> list[str]:
        return sorted(engine.manifest.name for engine in self.models.engines())


@pytest.fixture
def seated(tmp_path: Path) -> Seated:
    write_package(tmp_path, "tiny")
    write_package(tmp_path, "other")
    return Seated(tmp_path)


def test_it_begins_with_what_was_changed_before(seated: Seated) -> None:
    assert (seated.seat.start.number, seated.seat.start.grpc_port) == (1, 5)
    assert seated.names() == ["other"]
    assert {status.name: status.state for status in seated.models.statuses()} == {"tiny": "unloaded", "other": "ready"}


def test_it_serves_when_it_may(seated: Seated) -> None:
    waiting = threading.Thread(target=seated.seat.wait_to_serve, args=(("a@1",),))
    waiting.start()
    assert seated.told.get(timeout=PATIENCE_S) == ("loaded", ["a@1"])
    assert waiting.is_alive()
    seated.supervisor.tell("serve")
    waiting.join(PATIENCE_S)
    assert not waiting.is_alive()
    seated.seat.tell_readiness(is_ready=True)
    assert seated.told.get(timeout=PATIENCE_S) == ("ready", True)


def test_it_tells_its_metrics(seated: Seated) -> None:
    (family,) = seated.supervisor.ask("metrics")
    assert [(sample.name, sample.value) for sample in family.samples if sample.name == "calls_total"] == [
        ("calls_total", 3)
    ]


def test_it_changes_what_it_is_told_to_change(seated: Seated) -> None:
    assert seated.supervisor.ask("change", ("load", "tiny")) is None
    assert seated.names() == ["other", "tiny"]
    assert seated.supervisor.ask("change", ("unload", "other")) is None
    assert seated.names() == ["tiny"]
    condition = seated.supervisor.ask("change", ("load", "nobody"))
    assert isinstance(condition.error, ModelNotFound)


def test_a_call_is_passed_on_rather_than_done_here_alone(seated: Seated) -> None:
    seated.keeper.unload("other", "")
    assert seated.told.get(timeout=PATIENCE_S) == ("change", ("unload", "other"))
    assert seated.names() == ["other"]


@pytest.mark.parametrize(
    "error",
    [
        LoadFailed("model m@2 cannot be loaded", model="m", version="2"),
        ModelNotFound("no model m", model="m", version=""),
        ModelNotReady("why", model="m", version=""),
    ],
)
def test_a_condition_is_raised_as_it_was_where_it_came_from(
    seated: Seated, error: LoadFailed | ModelNotFound | ModelNotReady
) -> None:
    seated.condition = Condition.of(error)
    with pytest.raises(type(error)) as caught:
        seated.keeper.load("m", "")
    assert (caught.value.message, caught.value.metadata) == (error.message, error.metadata)


def test_a_fault_elsewhere_is_one_here_and_no_condition(seated: Seated) -> None:
    seated.is_faulty = True
    with pytest.raises(LinkFailed):
        seated.keeper.load("m", "")
