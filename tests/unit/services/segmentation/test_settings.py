"""The segmentation service's own settings."""

import pytest

from retinue.serving.settings import EngineSettings, SettingsInvalid, load_settings
from services.segmentation.settings import SegmentationSettings, SlideSettings


def test_the_defaults_are_as_the_readme_says() -> None:
    assert SlideSettings().model_dump() == {
        "max_side_px": 200_000,
        "max_tile_pixels": 16_777_216,
        "max_row_pixels": 134_217_728,
        "max_instances": 1_000_000,
        "max_picture_count": 2,
        "stall_timeout_s": 60.0,
    }


def test_large_pictures_run_alone_unless_somebody_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = load_settings(SegmentationSettings).engine
    assert engine.max_batch_pixels == 512 * 512
    others = EngineSettings().model_dump() | {"max_batch_pixels": engine.max_batch_pixels}
    assert engine.model_dump() == others
    monkeypatch.setenv("RETINUE_ENGINE__MAX_BATCH_PIXELS", "5000000")
    assert load_settings(SegmentationSettings).engine.max_batch_pixels == 5_000_000


def test_the_environment_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINUE_SLIDES__MAX_INSTANCES", "5")
    assert load_settings(SegmentationSettings).slides.max_instances == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_SIDE_PX", "31"),
        ("MAX_SIDE_PX", "2147483648"),
        ("MAX_TILE_PIXELS", "1023"),
        ("MAX_ROW_PIXELS", "0"),
        ("MAX_INSTANCES", "0"),
        ("MAX_PICTURE_COUNT", "0"),
        ("STALL_TIMEOUT_S", "0"),
        ("STALL_TIMEOUT_S", "nan"),
        ("STALL_TIMEOUT_S", "inf"),
    ],
)
def test_a_value_out_of_range_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"RETINUE_SLIDES__{name}", value)
    with pytest.raises(SettingsInvalid, match=f"slides.{name.lower()}"):
        load_settings(SegmentationSettings)


def test_a_misspelt_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINUE_SLIDES__MAX_SIDES", "40")
    with pytest.raises(SettingsInvalid, match="RETINUE_SLIDES__MAX_SIDES"):
        load_settings(SegmentationSettings)
