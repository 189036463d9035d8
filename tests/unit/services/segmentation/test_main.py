"""What `python -m services.segmentation` serves."""

import pytest

from retinue.segmentation.v1 import segmentation_pb2
from retinue.serving.entry import run_service
from services.segmentation.__main__ import SERVICE
from services.segmentation.settings import SegmentationSettings


def test_the_service_is_the_one_of_the_contract() -> None:
    assert SERVICE.full_name == segmentation_pb2.DESCRIPTOR.services_by_name["SegmentationService"].full_name
    assert SERVICE.task == "segmentation"


def test_the_embedded_models_lie_beside_the_service() -> None:
    assert SERVICE.embedded_root.parts[-3:] == ("services", "segmentation", "models")
    assert SERVICE.default_model == "rounds-unet"


def test_settings_that_cannot_be_used_end_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RETINUE_SLIDES__STALL_TIMEOUT_S", "never")
    assert run_service(SERVICE, SegmentationSettings, []) == 2
    assert "slides.stall_timeout_s" in capsys.readouterr().err
