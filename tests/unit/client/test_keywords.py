import pytest

from retinue.client.keywords import parse_model


@pytest.mark.parametrize("text", ["", "@", "@1", "pets@"])
def test_a_model_without_a_name_or_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="name@version"):
        parse_model(text)
