"""The settings of the classification service are the common ones."""

import pytest

from retinue.serving.settings import ServiceSettings, SettingsInvalid, load_settings
from services.classification.settings import ClassificationSettings


def test_the_service_has_the_common_settings_and_no_others() -> None:
    assert ClassificationSettings.model_fields.keys() == ServiceSettings.model_fields.keys()


def test_the_environment_reaches_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINUE_ENGINE__MAX_BATCH_SIZE", "3")
    assert load_settings(ClassificationSettings).engine.max_batch_size == 3


def test_a_key_that_nothing_reads_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINUE_TOP_K", "3")
    with pytest.raises(SettingsInvalid, match="RETINUE_TOP_K"):
        load_settings(ClassificationSettings)
