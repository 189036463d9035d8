"""The settings of the matching service."""

import pytest

from retinue.serving.settings import HostSettings, SettingsInvalid, load_settings
from services.matching.settings import MatchingSettings


def test_the_service_has_the_common_settings_and_its_own() -> None:
    assert MatchingSettings.model_fields.keys() - HostSettings.model_fields.keys() == {"limits", "solving"}


def test_the_environment_reaches_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINUE_LIMITS__MAX_POINT_COUNT", "3")
    monkeypatch.setenv("RETINUE_SOLVING__WORKERS", "2")
    settings = load_settings(MatchingSettings)
    assert (settings.limits.max_point_count, settings.solving.workers) == (3, 2)


@pytest.mark.parametrize("name", ["RETINUE_ENGINE__WORKERS", "RETINUE_MODELS__DEFAULT", "RETINUE_IMAGES__MAX_BYTES"])
def test_settings_of_models_are_read_by_nothing_here(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "2")
    with pytest.raises(SettingsInvalid, match=name):
        load_settings(MatchingSettings)


@pytest.mark.parametrize("field", ["max_point_count", "max_cell_count", "max_class_count"])
def test_a_limit_of_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    monkeypatch.setenv(f"RETINUE_LIMITS__{field.upper()}", "0")
    with pytest.raises(SettingsInvalid, match=rf"limits\.{field}"):
        load_settings(MatchingSettings)
