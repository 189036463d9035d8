"""What a service takes of a tuning file: what nobody set, for the model and the machine that were measured."""

from pathlib import Path

import pytest

from retinue.runtime.hardware import Hardware
from retinue.runtime.package import Package, open_package
from retinue.runtime.provider import Provider
from retinue.runtime.providers import installed_providers
from retinue.runtime.setup import Setup
from retinue.runtime.tuning_file import Figures, TunedModel, TuningFile, digest_of, write_tuning
from retinue.serving.settings import EngineSettings
from retinue.serving.tuning import Tuning
from tests.unit.cli.tiny_classifiers import make_package

HERE = Hardware(cpu="Testing 1", cores=2)
FIGURES = Figures(answers_per_s=100, p50_ms=5, p99_ms=20, cpu_ms=3, in_flight=8)
BEST = Setup(workers=3, threads=2, is_session_shared=False, max_batch_size=16, max_delay_ms=1.5)


@pytest.fixture
def package(tmp_path: Path) -> Package:
    return open_package(make_package(tmp_path / "models"))


def write(folder: Path, package: Package, *, setup: Setup = BEST, digest: str = "", hardware: Hardware = HERE) -> Path:
    """Write a tuning file for a model under the name for this machine."""
    tuned = TunedModel(
        digest=digest or digest_of(package),
        engine=setup,
        measured=FIGURES,
        default=FIGURES,
        slo_ms=50,
        created="2026-11-24",
    )
    path = folder / f"{HERE.slug}.yaml"
    write_tuning(path, TuningFile(hardware=hardware, models={f"{package.name}@{package.version}": tuned}))
    return path


def test_what_was_tuned_is_taken_and_told(tmp_path: Path, package: Package, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, package)
    taken = Tuning(tmp_path, HERE).settings_for(package, EngineSettings(max_queue_count=7))

    assert taken == EngineSettings(max_queue_count=7, **BEST.model_dump())
    text = capsys.readouterr().out
    assert "tuning_taken" in text
    assert str(path) in text
    assert "pets@1" in text


def test_what_was_set_stays(tmp_path: Path, package: Package) -> None:
    write(tmp_path, package)
    taken = Tuning(tmp_path, HERE).settings_for(package, EngineSettings(workers=1, max_batch_size=4))

    assert (taken.workers, taken.max_batch_size) == (1, 4)  # 4 is the default, and was asked for all the same
    assert (taken.threads, taken.max_delay_ms) == (2, 1.5)


def test_other_model_keeps_its_settings(tmp_path: Path, package: Package) -> None:
    write(tmp_path, package)
    other = open_package(make_package(tmp_path / "models", version="2"))
    assert Tuning(tmp_path, HERE).settings_for(other, EngineSettings()) == EngineSettings()


def test_model_that_has_changed_keeps_its_settings(
    tmp_path: Path, package: Package, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, package, digest="0" * 64)
    assert Tuning(tmp_path, HERE).settings_for(package, EngineSettings()) == EngineSettings()
    text = capsys.readouterr().out
    assert "tuning_ignored" in text
    assert "has changed since it was tuned" in text


def test_provider_that_is_missing_here_is_not_taken(
    tmp_path: Path, package: Package, capsys: pytest.CaptureFixture[str]
) -> None:
    missing: list[Provider] = [one for one in ("openvino", "tensorrt") if one not in installed_providers()]
    if not missing:
        pytest.skip("everything is installed here")
    write(tmp_path, package, setup=BEST.model_copy(update={"providers": (missing[0],)}))
    assert Tuning(tmp_path, HERE).settings_for(package, EngineSettings()) == EngineSettings()
    assert f"no {missing[0]} provider" in capsys.readouterr().out


def test_file_of_another_machine_under_this_ones_name_is_refused(
    tmp_path: Path, package: Package, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, package, hardware=Hardware(cpu="Testing 1", cores=4))
    assert Tuning(tmp_path, HERE).settings_for(package, EngineSettings()) == EngineSettings()
    text = capsys.readouterr().out
    assert "tuning_refused" in text
    assert "this is testing-1-2-cores" in text


def test_file_with_a_key_that_nobody_knows_is_refused(
    tmp_path: Path, package: Package, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, package)
    path.write_text(path.read_text() + "colour: red\n")
    assert Tuning(tmp_path, HERE).settings_for(package, EngineSettings()) == EngineSettings()
    assert "colour: Extra inputs" in capsys.readouterr().out


def test_files_of_other_machines_only_are_told(
    tmp_path: Path, package: Package, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, package).rename(tmp_path / "other-8-cores.yaml")
    Tuning(tmp_path, HERE)
    text = capsys.readouterr().out
    assert "tuning_absent" in text
    assert "other-8-cores.yaml" in text


def test_no_folder_is_no_matter(tmp_path: Path, package: Package, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path / "absent", make_file(tmp_path / "file")):
        assert Tuning(folder, HERE).settings_for(package, EngineSettings()) == EngineSettings()
    assert "tuning" not in capsys.readouterr().out


def make_file(path: Path) -> Path:
    path.write_text("")
    return path
