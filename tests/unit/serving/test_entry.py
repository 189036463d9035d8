"""How a service's process begins: what the command line and the settings decide before anything is served."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from retinue.serving.entry import run_service
from retinue.serving.host import Service
from retinue.serving.settings import ServiceSettings
from tests.unit.serving.test_host import MeanService


class MeanSettings(ServiceSettings):
    """A setting of the service's own beside the common ones."""

    depth: int = Field(default=1, ge=1, description="Of the test.")


@pytest.fixture
def mean(tmp_path: Path) -> MeanService:
    return MeanService(tmp_path / "embedded")


def config_of(folder: Path, text: str) -> list[str]:
    path = folder / "config.yaml"
    path.write_text(text)
    return ["--config", str(path)]


def run(mean: MeanService, arguments: list[str]) -> int:
    service: Service[Any] = mean.service
    return run_service(service, MeanSettings, arguments)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("depth: 0", "depth: Input should be greater than or equal to 1"),
        ("deep: 1", "unknown keys in"),
        ("grpc: {port: 1}", "grpc.port: Extra inputs are not permitted"),
        ("[", "cannot be read"),
        ("7", "must hold keys and values"),
    ],
)
def test_settings_that_cannot_be_used_end_with_2_and_one_line(
    mean: MeanService, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, problem: str
) -> None:
    assert run(mean, config_of(tmp_path, text)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("settings: ")
    assert problem in captured.err


def test_a_config_file_that_is_not_there_ends_with_2(
    mean: MeanService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(mean, ["--config", str(tmp_path / "absent.yaml")]) == 2
    assert "absent.yaml cannot be read" in capsys.readouterr().err


def test_a_variable_that_nothing_reads_ends_with_2(
    mean: MeanService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETINUE_DEEP", "1")
    assert run(mean, []) == 2
    assert capsys.readouterr().err == "settings: unknown environment variables: RETINUE_DEEP\n"


def test_the_command_says_what_it_is_and_takes_nothing_else(
    mean: MeanService, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(mean, ["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "python -m services.classification" in text
    assert "Serve classification." in text
    assert "--config" in text
    with pytest.raises(SystemExit) as ended:
        run(mean, ["--port", "1"])
    assert ended.value.code == 2


def test_the_exit_code_is_that_of_serving(tmp_path: Path) -> None:
    """In a process of its own, since serving takes the log and the signals of its process."""
    text = "grpc: {address: '127.0.0.1:0'}\nhttp: {address: '127.0.0.1:0'}\nmodels: {default: newt}"
    command = [sys.executable, "-m", "services.classification", *config_of(tmp_path, text)]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=60)

    assert done.returncode == 1
    assert "model_not_found" in done.stdout
