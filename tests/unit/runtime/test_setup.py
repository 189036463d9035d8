"""Setups, and that the default one is what the settings say."""

from typing import Any

import pytest
from pydantic import ValidationError

from retinue.runtime.setup import Setup, default_setup
from retinue.serving.settings import EngineSettings


def test_default_is_that_of_the_settings() -> None:
    values = EngineSettings().model_dump(include=set(Setup.model_fields) - {"workers"})
    assert default_setup(3) == Setup(workers=3, **values)


def test_every_field_is_a_setting_of_the_same_name() -> None:
    assert set(Setup.model_fields) <= set(EngineSettings.model_fields)


def test_text_tells_setups_apart() -> None:
    setups = [
        Setup(workers=2),
        Setup(workers=2, is_session_shared=False),
        Setup(workers=1, threads=2),
        Setup(workers=2, providers=("openvino",)),
        Setup(workers=2, max_batch_size=8),
        Setup(workers=2, max_delay_ms=2.5),
    ]
    assert len({setup.text for setup in setups}) == len(setups)


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"providers": []}, {"providers": ["gpu"]}, {"speed": 9}])
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Setup.model_validate({"workers": 1, **wrong})
