"""Who may change models, and what makes a service look at its repositories."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from retinue.runtime.engine import Engine
from retinue.runtime.errors import InvalidInput, ModelNotFound, NotAllowed, NotSupported, Overloaded
from retinue.runtime.model_control import ModelControl
from retinue.runtime.models import Models
from retinue.runtime.package import Package
from retinue.runtime.picture import Picture
from retinue.runtime.repository import scan, stamp
from retinue.serving.model_keeper import ModelKeeper
from retinue.serving.settings import ModelSettings
from tests.unit.serving.in_process import PATIENCE_S
from tests.unit.serving.tiny_engine import idle_engine
from tests.unit.serving.tiny_package import write_package


class Kept:
    """Models of one repository and their keeper."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root = root
        self.gate = threading.Event()
        self.gate.set()
        self.fault: Exception | None = None
        self.models: Models[Picture, float] = Models(scan([root]), task="classification")
        control = ModelControl(self.models, lambda: scan([root]), lambda: stamp([root]), self.build)
        control.start()
        self.keeper = ModelKeeper(control, ModelSettings(**settings))
        self.changes = threading.Semaphore(0)
        self.keeper.watch(self.changes.release)

    def build(self, package: Package) -> Engine[Picture, float]:
        assert self.gate.wait(PATIENCE_S)
        if self.fault is not None:
            raise self.fault
        return idle_engine(package.manifest)

    def run(self) -> None:
        threading.Thread(target=self.keeper.run, daemon=True).start()

    def names(self) -> list[str]:
        return sorted(f"{engine.manifest.name}@{engine.manifest.version}" for engine in self.models.engines())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_package(tmp_path / "models", "tiny", "1")
    return tmp_path / "models"


@pytest.fixture
def kept(root: Path) -> Iterator[Kept]:
    one = Kept(root, is_control_allowed=True)
    yield one
    one.gate.set()


def test_calls_load_and_unload(kept: Kept) -> None:
    kept.keeper.unload("tiny", "")
    assert kept.names() == []
    kept.keeper.load("tiny", "")
    assert kept.names() == ["tiny@1"]
    assert kept.changes.acquire(blocking=False)
    assert kept.changes.acquire(blocking=False)


def test_nobody_may_call_unless_that_is_wanted(root: Path) -> None:
    kept = Kept(root)
    for change in (kept.keeper.load, kept.keeper.unload):
        with pytest.raises(NotSupported, match="is_control_allowed"):
            change("tiny", "")
    assert not kept.keeper.is_open
    assert kept.names() == ["tiny@1"]


@pytest.mark.parametrize(
    "authorization", ["", "sesame", "Bearer", "Bearer ", "bearer sesame", "Bearer sesame ", "Bearer é"]
)
def test_the_token_is_wanted_to_the_letter(root: Path, authorization: str) -> None:
    kept = Kept(root, is_control_allowed=True, control_token=SecretStr("sesame"))
    for change in (kept.keeper.load, kept.keeper.unload):
        with pytest.raises(NotAllowed) as caught:
            change("tiny", authorization)
        assert "sesame" not in caught.value.message
    kept.keeper.unload("tiny", "Bearer sesame")
    assert kept.names() == []


def test_conditions_are_told_and_nothing_is_kept_of_them(kept: Kept) -> None:
    for _ in range(10):
        with pytest.raises(ModelNotFound):
            kept.keeper.load("nobody", "")
        with pytest.raises(InvalidInput):
            kept.keeper.unload("", "")
    kept.keeper.load("tiny", "")


def test_no_more_than_a_few_wait_for_a_change(kept: Kept) -> None:
    write_package(kept.root, "other", "1")
    kept.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(kept.keeper.load, "other", "") for _ in range(8)]
        refused = [one for one in asked if isinstance(_error_now(one), Overloaded)]
        kept.gate.set()
        errors = [one.exception(PATIENCE_S) for one in asked]
    assert len([error for error in errors if error is None]) == 4
    assert len(refused) <= 4
    assert all(isinstance(error, Overloaded) and error.cause == "in_flight" for error in errors if error is not None)
    assert kept.names() == ["other@1", "tiny@1"]


def _error_now(future: Any) -> BaseException | None:
    try:
        error: BaseException | None = future.exception(0.5)
    except TimeoutError:
        return None
    return error


def test_a_wish_makes_it_look(kept: Kept) -> None:
    kept.run()
    write_package(kept.root, "tiny", "2")
    kept.keeper.ask_refresh()
    assert kept.changes.acquire(timeout=PATIENCE_S)
    assert kept.names() == ["tiny@1", "tiny@2"]


def test_a_storm_of_wishes_makes_it_look_once(kept: Kept) -> None:
    for _ in range(1000):
        kept.keeper.ask_refresh()
    kept.run()
    assert kept.changes.acquire(timeout=PATIENCE_S)
    assert not kept.changes.acquire(timeout=0.1)
    kept.keeper.ask_refresh()
    assert kept.changes.acquire(timeout=PATIENCE_S)


def test_time_makes_it_look(root: Path) -> None:
    kept = Kept(root, poll_interval_s=0.01)
    kept.run()
    write_package(kept.root, "tiny", "2")
    for _ in range(1000):
        assert kept.changes.acquire(timeout=PATIENCE_S)
        if kept.names() == ["tiny@1", "tiny@2"]:
            return
    raise AssertionError("it was never seen")


def test_a_fault_of_ours_does_not_end_the_looking(kept: Kept) -> None:
    kept.run()
    write_package(kept.root, "tiny", "2")
    kept.fault = ZeroDivisionError()
    kept.keeper.ask_refresh()
    assert kept.changes.acquire(timeout=PATIENCE_S)
    kept.fault = None
    kept.keeper.ask_refresh()
    assert kept.changes.acquire(timeout=PATIENCE_S)
    assert kept.names() == ["tiny@1", "tiny@2"]


@pytest.mark.parametrize(
    ("settings", "expected"), [({}, False), ({"poll_interval_s": 1}, True), ({"is_control_allowed": True}, True)]
)
def test_models_may_come_where_they_are_looked_for_or_may_be_told(
    root: Path,
    settings: dict[str, Any],
    expected: bool,  # noqa: FBT001 - a test's parameter
) -> None:
    assert Kept(root, **settings).keeper.may_bring_models is expected
