"""The models of a service: good ones answer, broken ones say why, and neither is in the other's way."""

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from retinue.runtime.caller import Caller
from retinue.runtime.engine import Engine, EngineSize
from retinue.runtime.errors import (
    BackendFailed,
    InvalidInput,
    ModelNotFound,
    ModelNotReady,
    PackageInvalid,
    ProviderMissing,
)
from retinue.runtime.models import Models, ModelState
from retinue.runtime.package import Package
from retinue.runtime.repository import scan
from tests.unit.runtime.numbers_read import Ledger, NumberPipeline, Written, write_package

Build = Callable[[Package], Engine[Written, int]]


def build(package: Package) -> Engine[Written, int]:
    """Return a small engine for any package."""
    return Engine(package.manifest, NumberPipeline(), EngineSize(1, 2, 10, 1000), Ledger())


def models_of(root: Path, **options: Any) -> Models[Written, int]:
    """Return the models under a root."""
    return Models(scan([root]), task="classification", **options)


def loaded(root: Path, build: Build = build, **options: Any) -> Models[Written, int]:
    """Return the models under a root, loaded and closed: an engine can be found all the same."""
    models = models_of(root, **options)
    models.load(build)
    models.close(timeout_s=30)
    return models


def found(models: Models[Written, int], name: str = "", version: str = "") -> str:
    """Return name and version of the engine that answers."""
    manifest = models.get(name, version).manifest
    return f"{manifest.name}@{manifest.version}"


def states(models: Models[Written, int]) -> dict[str, str]:
    """Return every state by name and version."""
    return {f"{status.name}@{status.version}": status.state for status in models.statuses()}


def test_model_is_loading_then_ready(tmp_path: Path) -> None:
    write_package(tmp_path, "m", "1")
    models = models_of(tmp_path)
    assert states(models) == {"m@1": ModelState.LOADING}
    assert not models.is_ready
    with pytest.raises(ModelNotReady, match="m is loading") as raised:
        models.get("m")
    assert raised.value.metadata == {"model": "m", "version": ""}

    models.load(build)

    assert states(models) == {"m@1": ModelState.READY}
    assert models.is_ready
    assert found(models, "m") == "m@1"
    assert models.get("m", "1") is models.engines()[0]
    models.close()


def test_engine_answers_until_closed(tmp_path: Path) -> None:
    write_package(tmp_path, "m", "1")
    models = models_of(tmp_path)
    models.load(build)
    engine = models.get("m")
    models.close(timeout_s=30)

    assert not any(thread.is_alive() for thread in engine._threads)


def test_latest_version_answers_where_none_is_asked_for(tmp_path: Path) -> None:
    for version in ("9", "10", "2"):
        write_package(tmp_path, "m", version)
    models = loaded(tmp_path)

    assert found(models, "m") == "m@10"
    assert found(models, "m", "9") == "m@9"


def test_broken_latest_version_does_not_hide_a_good_one(tmp_path: Path) -> None:
    write_package(tmp_path, "m", "1")
    (write_package(tmp_path, "m", "2") / "model.onnx").write_bytes(b"altered")
    (write_package(tmp_path, "m", "3") / "model.yaml").write_text("nonsense")
    models = loaded(tmp_path)

    assert states(models) == {"m@1": "ready", "m@2": "broken", "m@3": "broken"}
    assert found(models, "m") == "m@1"
    assert models.is_ready
    for version in ("2", "3"):
        with pytest.raises(ModelNotReady, match=f"m@{version} is broken"):
            models.get("m", version)


@pytest.mark.parametrize("folder", ["²", "1²", "⑨", "٣", "-", "…"])
def test_a_folder_whose_name_is_no_number_hides_no_good_version(tmp_path: Path, folder: str) -> None:
    write_package(tmp_path, "m", "1")
    (tmp_path / "m" / folder).mkdir()
    models = loaded(tmp_path)

    assert states(models) == {"m@1": "ready", f"m@{folder}": "broken"}
    assert found(models, "m") == "m@1"


@pytest.mark.parametrize("error", [PackageInvalid("no such tensor"), BackendFailed("no such tensor")])
def test_model_that_cannot_be_built_says_why(tmp_path: Path, error: PackageInvalid | BackendFailed) -> None:
    write_package(tmp_path, "bad", "1")
    write_package(tmp_path, "good", "1")

    def refuse(package: Package) -> Engine[Written, int]:
        if package.name == "bad":
            raise error
        return build(package)

    models = loaded(tmp_path, refuse)

    assert states(models) == {"bad@1": "broken", "good@1": "ready"}
    assert next(status.reason for status in models.statuses() if status.name == "bad") == "no such tensor"
    assert models.is_ready


def test_model_that_fails_its_warm_up_is_broken(tmp_path: Path) -> None:
    write_package(tmp_path, "m", "1")

    def fail(_: list[int]) -> None:
        raise BackendFailed("out of memory")

    models = loaded(
        tmp_path, lambda package: Engine(package.manifest, NumberPipeline(fail), EngineSize(1, 2, 10, 1000), Ledger())
    )

    assert states(models) == {"m@1": "broken"}
    assert not models.is_ready
    assert models.engines() == []


def test_missing_provider_ends_the_loading(tmp_path: Path) -> None:
    write_package(tmp_path, "m", "1")

    def refuse(_: Package) -> Engine[Written, int]:
        raise ProviderMissing("no cuda")

    models = models_of(tmp_path)
    with pytest.raises(ProviderMissing):
        models.load(refuse)
    assert not models.is_ready


def test_altered_package_is_not_built(tmp_path: Path) -> None:
    (write_package(tmp_path, "m", "1") / "model.onnx").write_bytes(b"altered")

    def build_nothing(_: Package) -> Engine[Written, int]:
        raise AssertionError("an altered file was loaded")

    assert states(loaded(tmp_path, build_nothing)) == {"m@1": "broken"}


def test_unknown_model_and_version_are_named_beside_the_known(tmp_path: Path) -> None:
    write_package(tmp_path, "a", "1")
    write_package(tmp_path, "b", "1")
    models = loaded(tmp_path)

    with pytest.raises(ModelNotFound, match=r"no model c; known models: a, b") as raised:
        models.get("c")
    assert raised.value.metadata == {"model": "c", "version": ""}
    with pytest.raises(ModelNotFound, match=r"no model a@2; known models: a, b"):
        models.get("a", "2")


def test_empty_repository_knows_nothing_and_is_not_ready(tmp_path: Path) -> None:
    models = loaded(tmp_path / "absent")

    assert (models.statuses(), models.engines(), models.is_ready) == ([], [], False)
    with pytest.raises(ModelNotFound, match="known models: none"):
        models.get("m")
    with pytest.raises(InvalidInput):
        models.get("")


def test_only_model_answers_where_none_is_named(tmp_path: Path) -> None:
    write_package(tmp_path, "m", "1")
    write_package(tmp_path, "m", "2")

    assert found(loaded(tmp_path, default_name="gone")) == "m@2"


def test_default_model_answers_where_none_is_named(tmp_path: Path) -> None:
    write_package(tmp_path, "a", "1")
    write_package(tmp_path, "b", "1")

    assert found(loaded(tmp_path, default_name="b")) == "b@1"
    with pytest.raises(InvalidInput, match="known models: a, b") as raised:
        found(loaded(tmp_path))
    assert raised.value.field == "model.name"


def test_default_model_is_loaded_first(tmp_path: Path) -> None:
    for name in "abc":
        write_package(tmp_path, name, "1")
    order = []

    def watch(package: Package) -> Engine[Written, int]:
        order.append(package.name)
        return build(package)

    loaded(tmp_path, watch, default_name="b")

    assert order == ["b", "a", "c"]


def test_loaded_model_answers_while_the_next_is_loading(tmp_path: Path) -> None:
    write_package(tmp_path, "a", "1")
    write_package(tmp_path, "b", "1")
    models = models_of(tmp_path)
    seen = []

    def watch(package: Package) -> Engine[Written, int]:
        if package.name == "b":
            seen.append((found(models, "a"), models.is_ready))
        return build(package)

    models.load(watch)
    models.close(timeout_s=30)

    assert seen == [("a@1", False)]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ((), {"a@1", "a@2", "b@1"}),
        (("a",), {"a@1", "a@2"}),
        (("a@2", "b"), {"a@2", "b@1"}),
        (("a@3",), set()),
    ],
)
def test_selection_names_models_or_versions(tmp_path: Path, selection: tuple[str, ...], expected: set[str]) -> None:
    write_package(tmp_path, "a", "1")
    write_package(tmp_path, "a", "2")
    write_package(tmp_path, "b", "1")

    assert set(states(loaded(tmp_path, selection=selection))) == expected


def test_packages_of_another_task_are_passed_over(tmp_path: Path) -> None:
    write_package(tmp_path, "m", "1")
    models: Models[Written, int] = Models(scan([tmp_path]), task="detection")

    assert models.statuses() == []


def test_good_package_of_a_second_root_stands_in_for_a_broken_one(tmp_path: Path) -> None:
    (write_package(tmp_path / "first", "m", "1") / "model.yaml").write_text("nonsense")
    write_package(tmp_path / "second", "m", "1")
    repository = scan([tmp_path / "first", tmp_path / "second"])
    models: Models[Written, int] = Models(repository, task="classification")
    models.load(build)
    models.close(timeout_s=30)

    assert states(models) == {"m@1": "ready"}


# --- models that change while they are served


class Changing:
    """Models over a repository that tests change, and what was loaded."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.root = root
        self.loads: list[tuple[str, str, bool]] = []
        self.models = models_of(root, on_load=lambda *load: self.loads.append(load), **options)
        self.models.load(build)

    def update(self, build: Build = build) -> None:
        self.loads.clear()
        self.models.update(scan([self.root]), build)


@pytest.fixture
def changing(tmp_path: Path) -> Iterator[Changing]:
    write_package(tmp_path, "m", "1")
    one = Changing(tmp_path)
    yield one
    one.models.close(30)


def reason_of(models: Models[Written, int], name: str, version: str) -> str:
    return next(one.reason for one in models.statuses() if (one.name, one.version) == (name, version))


def test_nothing_is_loaded_where_nothing_changed(changing: Changing) -> None:
    engine = changing.models.get("m")
    changing.update()
    assert changing.loads == []
    assert changing.models.get("m") is engine


def test_a_new_version_answers_once_it_is_warm_and_the_old_one_until_then(changing: Changing) -> None:
    write_package(changing.root, "m", "2")
    seen = []

    def watch(package: Package) -> Engine[Written, int]:
        seen.append((found(changing.models, "m"), states(changing.models)["m@2"], changing.models.is_ready))
        return build(package)

    changing.update(watch)
    assert seen == [("m@1", "loading", True)]
    assert found(changing.models, "m") == "m@2"
    assert found(changing.models, "m", "1") == "m@1"
    assert changing.loads == [("m", "2", True)]


def test_an_older_version_that_comes_late_is_not_the_latest(changing: Changing) -> None:
    write_package(changing.root, "m", "0.9")
    changing.update()
    assert found(changing.models, "m") == "m@1"


def test_what_cannot_be_loaded_replaces_nothing_and_says_why(changing: Changing) -> None:
    engine = changing.models.get("m", "1")
    rmtree(changing.root / "m")
    write_package(changing.root, "m", "1", graph=b"other")
    write_package(changing.root, "m", "2")

    def refuse(_: Package) -> Engine[Written, int]:
        raise BackendFailed("out of memory")

    changing.update(refuse)
    assert changing.models.get("m") is changing.models.get("m", "1") is engine
    assert states(changing.models) == {"m@1": "ready", "m@2": "broken"}
    assert reason_of(changing.models, "m", "1") == reason_of(changing.models, "m", "2") == "out of memory"
    assert sorted(changing.loads) == [("m", "1", False), ("m", "2", False)]

    changing.update()  # it is tried again
    assert states(changing.models) == {"m@1": "ready", "m@2": "ready"}
    assert reason_of(changing.models, "m", "1") == ""
    assert changing.models.get("m", "1") is not engine


def test_a_manifest_that_broke_leaves_the_engine_that_was_made_of_it(changing: Changing) -> None:
    (changing.root / "m" / "1" / "model.yaml").write_text("nonsense")
    changing.update()
    assert found(changing.models, "m") == "m@1"
    assert states(changing.models) == {"m@1": "ready"}
    assert "model.yaml" in reason_of(changing.models, "m", "1")


def test_a_fault_of_ours_leaves_what_was_served_and_no_state_of_loading(changing: Changing) -> None:
    write_package(changing.root, "m", "2")

    def fail(_: Package) -> Engine[Written, int]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        changing.update(fail)
    assert states(changing.models) == {"m@1": "ready", "m@2": "broken"}
    assert found(changing.models, "m") == "m@1"


def test_what_is_removed_is_forgotten(changing: Changing) -> None:
    write_package(changing.root, "n", "1")
    changing.update()
    rmtree(changing.root / "m")
    changing.update()
    assert states(changing.models) == {"n@1": "ready"}
    with pytest.raises(ModelNotFound, match=r"known models: n$"):
        changing.models.get("m")
    assert found(changing.models) == "n@1"
    rmtree(changing.root / "n")
    changing.update()
    assert not changing.models.is_ready


def test_the_latest_that_is_left_answers(changing: Changing) -> None:
    write_package(changing.root, "m", "2")
    changing.update()
    rmtree(changing.root / "m" / "2")
    changing.update()
    assert found(changing.models, "m") == "m@1"


def test_a_repository_out_of_sight_has_removed_nothing(changing: Changing) -> None:
    changing.root.rename(changing.root.with_name("unmounted"))
    changing.update()
    assert found(changing.models, "m") == "m@1"
    changing.root.with_name("unmounted").rename(changing.root)


def test_only_the_latest_good_versions_are_served_where_so_many_may_be(tmp_path: Path) -> None:
    for version in "123":
        write_package(tmp_path, "m", version)
    (tmp_path / "m" / "3" / "model.onnx").write_bytes(b"altered")
    changing = Changing(tmp_path, max_versions=1)
    assert states(changing.models) == {"m@1": "unloaded", "m@2": "ready", "m@3": "broken"}
    with pytest.raises(ModelNotReady, match="m@1 is unloaded"):
        changing.models.get("m", "1")
    (tmp_path / "m" / "3" / "model.onnx").write_bytes(b"graph")
    changing.update()
    assert states(changing.models) == {"m@1": "unloaded", "m@2": "unloaded", "m@3": "ready"}
    changing.models.close(30)


def test_an_unloaded_model_stays_so_until_it_is_asked_for(changing: Changing) -> None:
    changing.models.unload("m")
    write_package(changing.root, "m", "2")
    changing.update()
    assert states(changing.models) == {"m@1": "unloaded", "m@2": "unloaded"}
    for version in ("", "1", "2"):
        with pytest.raises(ModelNotReady, match="is unloaded"):
            changing.models.get("m", version)
    with pytest.raises(ModelNotReady):  # it is still the one that answers where none is named
        changing.models.get("")
    changing.models.unload("m")
    changing.models.selection.ask("m")
    changing.update()
    assert found(changing.models, "m") == "m@2"


def test_an_unknown_model_cannot_be_unloaded(changing: Changing) -> None:
    with pytest.raises(ModelNotFound):
        changing.models.unload("n")


def test_one_model_can_be_looked_at_alone(changing: Changing) -> None:
    rmtree(changing.root / "m")
    write_package(changing.root, "n", "1")
    write_package(changing.root, "o", "1")
    changing.models.update(scan([changing.root]), build, "n")
    assert states(changing.models) == {"m@1": "ready", "n@1": "ready"}
    with pytest.raises(ModelNotFound, match=r"known models: m, n$"):
        changing.models.get("o")


def test_an_engine_that_is_held_answers_after_its_model_is_gone(changing: Changing) -> None:
    engine = changing.models.get("m")
    changing.models.unload("m")
    assert changing.models.draining_count == 1
    assert engine.submit(Written(7), Caller()).wait() == 7
    threads = engine._threads
    del engine
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


def test_closing_ends_engines_that_are_still_held(changing: Changing) -> None:
    engine = changing.models.get("m")
    changing.models.unload("m")
    changing.models.close(30)
    assert not any(thread.is_alive() for thread in engine._threads)
