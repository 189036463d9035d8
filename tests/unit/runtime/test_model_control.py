"""Models changed one change at a time: by name, by looking, and what is told of it."""

from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from retinue.runtime.engine import Engine, EngineSize
from retinue.runtime.errors import BackendFailed, LoadFailed, ModelNotFound, ProviderMissing
from retinue.runtime.model_control import ModelControl
from retinue.runtime.models import Models
from retinue.runtime.package import Package
from retinue.runtime.repository import scan, stamp
from tests.unit.runtime.numbers_read import Ledger, NumberPipeline, Written, write_package


class Controlled:
    """A control over one repository; what it builds may be made to fail."""

    def __init__(self, root: Path, selection: tuple[str, ...] = ()) -> None:
        self.root = root
        self.fault: Exception | None = None
        self.built: list[str] = []
        self.models: Models[Written, int] = Models(scan([root]), task="classification", selection=selection)
        self.control = ModelControl(self.models, lambda: scan([root]), lambda: stamp([root]), self.build)

    def build(self, package: Package) -> Engine[Written, int]:
        if self.fault is not None:
            raise self.fault
        self.built.append(f"{package.name}@{package.version}")
        return Engine(package.manifest, NumberPipeline(), EngineSize(1, 2, 10, 1000), Ledger())

    def states(self) -> dict[str, str]:
        return {f"{status.name}@{status.version}": status.state for status in self.models.statuses()}


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Controlled]:
    write_package(tmp_path, "m", "1")
    controlled = Controlled(tmp_path)
    controlled.control.start()
    controlled.built.clear()
    yield controlled
    controlled.models.close(30)


def test_what_is_loaded_is_what_lies_there_now(one: Controlled) -> None:
    write_package(one.root, "n", "1")
    one.control.load("n")
    assert one.built == ["n@1"]
    one.control.load("n")
    assert one.built == ["n@1"]
    write_package(one.root, "n", "2")
    one.control.load("n")
    assert one.models.get("n").manifest.version == "2"


def test_a_model_comes_back_after_it_was_unloaded(one: Controlled) -> None:
    one.control.unload("m")
    one.control.refresh()
    assert one.states() == {"m@1": "unloaded"}
    one.control.load("m")
    assert one.states() == {"m@1": "ready"}


def test_what_the_settings_leave_out_can_be_loaded_by_name(tmp_path: Path) -> None:
    write_package(tmp_path, "m", "1")
    write_package(tmp_path, "n", "1")
    one = Controlled(tmp_path, selection=("m",))
    one.control.start()
    assert one.states() == {"m@1": "ready"}
    one.control.load("n")
    one.control.refresh()
    assert one.states() == {"m@1": "ready", "n@1": "ready"}
    one.models.close(30)


def test_versions_that_the_settings_leave_out_are_not_found(tmp_path: Path) -> None:
    write_package(tmp_path, "m", "1")
    one = Controlled(tmp_path, selection=("m@1",))
    one.control.start()
    rmtree(tmp_path / "m" / "1")
    write_package(tmp_path, "m", "2")
    with pytest.raises(ModelNotFound, match="other versions of model m"):
        one.control.load("m")
    assert one.states() == {}
    one.models.close(30)


@pytest.mark.parametrize("name", ["", "n", "M", "m@1", "m/1", "../m", "."])
def test_an_unknown_name_changes_nothing(one: Controlled, name: str) -> None:
    for change in (one.control.load, one.control.unload):
        with pytest.raises(ModelNotFound):
            change(name)
    assert one.states() == {"m@1": "ready"}


def test_a_model_of_another_task_is_none_of_ours(one: Controlled) -> None:
    other: Models[Written, int] = Models(scan([one.root]), task="detection")
    control = ModelControl(other, lambda: scan([one.root]), lambda: None, one.build)
    with pytest.raises(ModelNotFound):
        control.load("m")


@pytest.mark.parametrize("fault", [BackendFailed("out of memory"), ProviderMissing("out of memory")])
def test_a_load_that_fails_is_told_with_the_version_that_failed(one: Controlled, fault: Exception) -> None:
    write_package(one.root, "m", "2")
    one.fault = fault
    with pytest.raises(LoadFailed, match="out of memory") as caught:
        one.control.load("m")
    assert caught.value.metadata["model"] == "m"
    assert one.models.get("m").manifest.version == "1"


def test_a_load_that_leaves_the_old_in_its_place_fails(one: Controlled) -> None:
    rmtree(one.root / "m")
    write_package(one.root, "m", "1", graph=b"other")
    one.fault = BackendFailed("out of memory")
    with pytest.raises(LoadFailed, match="m@1 cannot be loaded: out of memory"):
        one.control.load("m")


def test_an_old_version_that_is_broken_fails_no_load(one: Controlled) -> None:
    (write_package(one.root, "m", "0.1") / "model.yaml").write_text("nonsense")
    one.control.load("m")
    assert one.states() == {"m@1": "ready", "m@0.1": "broken"}


def test_a_look_finds_what_changed_once_it_has_come_to_rest(one: Controlled) -> None:
    assert not one.control.poll()
    folder = write_package(one.root, "m", "2", graph=b"a part")
    assert not one.control.poll()  # seen for the first time
    (folder / "model.onnx").write_bytes(b"a part and the rest")
    assert not one.control.poll()  # it is still changing
    assert one.control.poll()
    assert one.states()["m@2"] == "broken"
    assert not one.control.poll()  # and nothing is tried again until something changes
    rmtree(folder)
    write_package(one.root, "m", "2")
    assert [one.control.poll(), one.control.poll()] == [False, True]
    assert one.states()["m@2"] == "ready"


def test_what_came_while_the_service_started_is_found(tmp_path: Path) -> None:
    write_package(tmp_path, "m", "1")
    one = Controlled(tmp_path)
    write_package(tmp_path, "m", "2")
    one.control.start()
    assert [one.control.poll(), one.control.poll()] == [False, True]
    assert one.models.get("m").manifest.version == "2"
    one.models.close(30)
