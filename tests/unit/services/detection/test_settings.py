"""The settings of the detection service are the common ones and the limits on tiling."""

import pytest

from retinue.serving.settings import ServiceSettings, SettingsInvalid, load_settings
from services.detection.settings import DetectionSettings


def test_the_service_has_the_common_settings_and_tiling() -> None:
    assert DetectionSettings.model_fields.keys() == {*ServiceSettings.model_fields, "tiling"}


def test_the_environment_reaches_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINUE_TILING__MAX_TILE_COUNT", "9")
    monkeypatch.setenv("RETINUE_TILING__MAX_PICTURE_COUNT", "3")
    tiling = load_settings(DetectionSettings).tiling
    assert (tiling.max_tile_count, tiling.max_picture_count) == (9, 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TILING__MAX_TILE_COUNT", "0"),
        ("TILING__MAX_TILE_COUNT", "1000001"),
        ("TILING__MAX_PICTURE_COUNT", "0"),
        ("TILING__MAX_PICTURE_COUNT", "257"),
        ("TILING__TILE_SIZE", "3"),
        ("SCORE_THRESHOLD", "0.5"),
    ],
)
def test_a_limit_out_of_range_or_unknown_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"RETINUE_{name}", value)
    with pytest.raises(SettingsInvalid, match=r"tiling\.\w+|RETINUE_"):
        load_settings(DetectionSettings)
