"""What `python -m services.detection` serves."""

import pytest

from retinue.detection.v1 import detection_pb2
from retinue.serving.entry import run_service
from services.detection.__main__ import SERVICE
from services.detection.settings import DetectionSettings


def test_the_service_is_the_one_of_the_contract() -> None:
    assert SERVICE.full_name == detection_pb2.DESCRIPTOR.services_by_name["DetectionService"].full_name
    assert SERVICE.task == "detection"


def test_the_embedded_models_lie_beside_the_service() -> None:
    assert SERVICE.embedded_root.parts[-3:] == ("services", "detection", "models")


def test_settings_that_cannot_be_used_end_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RETINUE_TILING__MAX_TILE_COUNT", "none")
    assert run_service(SERVICE, DetectionSettings, []) == 2
    assert "tiling.max_tile_count" in capsys.readouterr().err
