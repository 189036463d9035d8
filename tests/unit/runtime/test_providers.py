"""What is installed, what of it is wanted, and what is said where something is missing."""

import pytest

from retinue.runtime.errors import ProviderMissing
from retinue.runtime.provider import Provider
from retinue.runtime.providers import installed_providers, usable_providers


def test_onnx_runtime_on_the_cpu_is_installed() -> None:
    assert installed_providers()[0] == "cpu"


@pytest.mark.parametrize(
    ("wanted", "there", "usable"),
    [
        (["cpu"], ["cpu"], ["cpu"]),
        (["cuda", "cpu"], ["cpu", "cuda"], ["cuda", "cpu"]),
        (["cpu", "cuda"], ["cuda", "cpu"], ["cpu", "cuda"]),
        (["openvino"], ["cpu", "openvino"], ["openvino"]),
        (["tensorrt", "cuda", "cpu"], ["cpu", "cuda", "tensorrt"], ["tensorrt", "cuda", "cpu"]),
        (["tensorrt", "cuda"], ["cpu", "cuda"], None),
    ],
)
def test_every_wanted_provider_is_required_in_the_order_asked_for(
    wanted: list[Provider], there: list[Provider], usable: list[Provider] | None
) -> None:
    if usable is None:
        with pytest.raises(ProviderMissing):
            usable_providers(wanted, there, is_fallback_allowed=False)
    else:
        assert usable_providers(wanted, there, is_fallback_allowed=False) == usable


def test_fallback_needs_something_to_fall_to() -> None:
    assert usable_providers(["tensorrt", "cuda"], ["cpu", "cuda"], is_fallback_allowed=True) == ["cuda"]
    with pytest.raises(ProviderMissing):
        usable_providers(["tensorrt", "cuda"], ["cpu"], is_fallback_allowed=True)


@pytest.mark.parametrize(
    ("wanted", "extras"),
    [
        (["openvino"], r"retinue\[openvino\]"),
        (["tensorrt", "cuda"], r"retinue\[gpu\]"),
        (["openvino", "cuda"], r"retinue\[openvino\] and retinue\[gpu\]"),
    ],
)
def test_refusal_names_what_is_missing_and_what_to_install(wanted: list[Provider], extras: str) -> None:
    names = ", ".join(wanted)
    message = rf"^this installation has no {names} provider \(it has: cpu\); install {extras}, or allow a fallback$"
    with pytest.raises(ProviderMissing, match=message):
        usable_providers(wanted, ["cpu"], is_fallback_allowed=False)


def test_fallback_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    usable_providers(["openvino", "cpu"], ["cpu"], is_fallback_allowed=True)
    assert "provider_missing" in capsys.readouterr().out
