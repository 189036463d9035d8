"""Settings: where they come from, what wins, and what is refused."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, ValidationError

from retinue.serving.settings import EngineSettings, ServiceSettings, SettingsInvalid, load_settings


class OneMore(ServiceSettings):
    """A service with a setting of its own."""

    palette_size: int = Field(default=8, ge=1, description="Colours.")


@pytest.fixture(autouse=True)
def _no_variable_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415

    for name in [name for name in os.environ if name.upper().startswith("RETINUE_")]:  # noqa: TID251
        monkeypatch.delenv(name)


def file_of(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# --- where values come from


def test_without_anything_the_defaults_hold() -> None:
    settings = load_settings(ServiceSettings)
    assert settings.grpc.address == "127.0.0.1:50051"
    assert settings == ServiceSettings()


def test_a_file_comes_before_the_defaults(tmp_path: Path) -> None:
    path = file_of(tmp_path, "images: {max_pixels: 7}\nmodels: {roots: [/models, more], default: digits}\n")
    settings = load_settings(ServiceSettings, path)
    assert settings.images.max_pixels == 7
    assert settings.models.roots == (Path("/models"), Path("more"))
    assert settings.images.max_batch_count == 64


def test_the_environment_comes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINUE_IMAGES__MAX_PIXELS", "9")
    settings = load_settings(ServiceSettings, file_of(tmp_path, "images: {max_pixels: 7, max_batch_count: 5}\n"))
    assert (settings.images.max_pixels, settings.images.max_batch_count) == (9, 5)


def test_a_service_has_settings_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(OneMore, file_of(tmp_path, "palette_size: 3\n")).palette_size == 3
    monkeypatch.setenv("RETINUE_PALETTE_SIZE", "4")
    assert load_settings(OneMore, file_of(tmp_path, "palette_size: 3\n")).palette_size == 4


def test_the_environment_may_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINUE_CONFIG", str(file_of(tmp_path, "log: {level: debug}\n")))
    assert load_settings(ServiceSettings).log.level == "debug"


def test_a_file_that_is_given_comes_before_one_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINUE_CONFIG", "/nowhere.yaml")
    assert load_settings(ServiceSettings, file_of(tmp_path, "log: {level: error}\n")).log.level == "error"


def test_an_empty_name_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINUE_CONFIG", "")
    assert load_settings(ServiceSettings) == ServiceSettings()


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}\n"])
def test_an_empty_file_changes_nothing(tmp_path: Path, text: str) -> None:
    assert load_settings(ServiceSettings, file_of(tmp_path, text)) == ServiceSettings()


@pytest.mark.parametrize(
    ("value", "expected"),
    [("false", False), ("False", False), ("0", False), ("no", False), ("true", True), ("1", True)],
)
def test_false_is_false(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:  # noqa: FBT001
    monkeypatch.setenv("RETINUE_MODELS__IS_EMBEDDED_SERVED", value)
    assert load_settings(ServiceSettings).models.is_embedded_served is expected


def test_lists_are_json_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINUE_ENGINE__PROVIDERS", '["cuda", "cpu"]')
    assert load_settings(ServiceSettings).engine.providers == ("cuda", "cpu")


def test_a_group_may_be_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINUE_IMAGES", '{"max_pixels": 3}')
    monkeypatch.setenv("RETINUE_IMAGES__MAX_BATCH_COUNT", "2")
    images = load_settings(ServiceSettings).images
    assert (images.max_pixels, images.max_batch_count) == (3, 2)


def test_settings_cannot_be_changed() -> None:
    settings = ServiceSettings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.grpc.grace_s = 1  # type: ignore[misc]  # that is the test
    with pytest.raises(ValidationError, match="frozen"):
        settings.grpc = settings.grpc  # type: ignore[misc]  # that is the test


def test_limits_on_pictures_are_those_of_the_settings() -> None:
    images = ServiceSettings().images
    assert (images.limits.max_bytes, images.limits.max_pixels) == (images.max_bytes, images.max_pixels)


# --- keys that nothing reads


@pytest.mark.parametrize(
    "name",
    [
        "RETINUE_GRPC__ADRESS",
        "RETINUE_GRCP__ADDRESS",
        "RETINUE_MAX_PIXELS",
        "RETINUE_IMAGES_MAX_PIXELS",  # one underscore is not enough
        "RETINUE_IMAGES__MAX_PIXELS__X",
        "RETINUE_PALETTE_SIZE",  # of another service
        "RETINUE_",
        "RETINUE_CONFIGS",
        "RETINUE_HTTP_PORT",  # looks like what Kubernetes sets, but for its value
    ],
)
def test_an_unknown_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "8080")
    with pytest.raises(SettingsInvalid, match=rf"unknown environment variables: {name}$"):
        load_settings(ServiceSettings)


def test_every_unknown_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINUE_B", "1")
    monkeypatch.setenv("RETINUE_A", "1")
    with pytest.raises(SettingsInvalid, match="RETINUE_A, RETINUE_B"):
        load_settings(ServiceSettings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RETINUE_CLASSIFICATION_SERVICE_HOST", "10.0.0.1"),
        ("RETINUE_CLASSIFICATION_SERVICE_PORT", "50051"),
        ("RETINUE_CLASSIFICATION_SERVICE_PORT_GRPC", "50051"),
        ("RETINUE_CLASSIFICATION_PORT", "tcp://10.0.0.1:50051"),
        ("RETINUE_GRPC_PORT", "tcp://10.0.0.1:50051"),
        ("RETINUE_CLASSIFICATION_PORT_50051_TCP", "tcp://10.0.0.1:50051"),
        ("RETINUE_CLASSIFICATION_PORT_50051_TCP_ADDR", "10.0.0.1"),
        ("RETINUE_CLASSIFICATION_PORT_50051_TCP_PORT", "50051"),
        ("RETINUE_CLASSIFICATION_PORT_50051_TCP_PROTO", "tcp"),
    ],
)
def test_what_kubernetes_sets_for_a_service_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert load_settings(ServiceSettings) == ServiceSettings()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("grcp: {}\n", "grcp"),
        ("grpc: {adress: 'a:1'}\n", "grpc.adress"),
        ("palette_size: 3\n", "palette_size"),
        ("1: 2\n", "1"),
        ("on: 2\n", "True"),  # YAML's own idea of a key
        ("_env_prefix: X_\n", "_env_prefix"),  # an argument of the library, not a setting
        ("_env_file: secrets.env\n", "_env_file"),
    ],
)
def test_an_unknown_key_of_the_file_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(SettingsInvalid, match=re.escape(named)):
        load_settings(ServiceSettings, file_of(tmp_path, text))


# --- files that cannot be read


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\t", "!!python/object:os.system x", "[1, 2]", "just text", "3"])
def test_a_file_that_holds_no_settings_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"config\.yaml"):
        load_settings(ServiceSettings, file_of(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"nothing\.yaml cannot be read"):
        load_settings(ServiceSettings, tmp_path / "nothing.yaml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        load_settings(ServiceSettings, tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        load_settings(ServiceSettings, path)


# --- values out of range


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRPC__ADDRESS", "localhost"),
        ("GRPC__ADDRESS", ":50051"),
        ("GRPC__ADDRESS", "localhost:"),
        ("GRPC__ADDRESS", "localhost:65536"),
        ("GRPC__ADDRESS", "localhost:-1"),
        ("GRPC__ADDRESS", "localhost:٣"),  # a digit, but none of ours
        ("HTTP__ADDRESS", "localhost:http"),
        ("GRPC__MAX_MESSAGE_BYTES", "65535"),
        ("GRPC__MAX_MESSAGE_BYTES", str(2**31)),  # more than gRPC can count
        ("GRPC__MAX_IN_FLIGHT_CALLS", "0"),
        ("GRPC__MAX_IN_FLIGHT_CALLS", "4097"),
        ("GRPC__MAX_CONNECTION_AGE_S", "0"),
        ("GRPC__MAX_CONNECTION_AGE_S", "nan"),
        ("GRPC__MAX_CONNECTION_AGE_S", "inf"),
        ("GRPC__DRAIN_DELAY_S", "-1"),
        ("GRPC__DRAIN_DELAY_S", "nan"),
        ("GRPC__GRACE_S", "601"),
        ("IMAGES__MAX_BYTES", "0"),
        ("IMAGES__MAX_PIXELS", "1.5"),
        ("IMAGES__MAX_BATCH_COUNT", "4097"),
        ("ENGINE__PROVIDERS", "[]"),
        ("ENGINE__PROVIDERS", '["tpu"]'),
        ("ENGINE__WORKERS", "0"),
        ("ENGINE__THREADS", "0"),
        ("ENGINE__MAX_BATCH_SIZE", "0"),
        ("ENGINE__MAX_QUEUE_COUNT", "0"),
        ("ENGINE__MAX_QUEUE_BYTES", "0"),
        ("LOG__LEVEL", "INFO"),
        ("LOG__FORMAT", "xml"),
        ("MODELS__IS_EMBEDDED_SERVED", "maybe"),
    ],
)
def test_a_value_out_of_range_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"RETINUE_{name}", value)
    with pytest.raises(SettingsInvalid, match=name.lower().replace("__", r"\.")):
        load_settings(ServiceSettings)


def test_every_value_out_of_range_is_named(tmp_path: Path) -> None:
    path = file_of(tmp_path, "images: {max_pixels: 0}\nlog: {level: loud}\n")
    with pytest.raises(SettingsInvalid, match=r"log\.level: .*; images\.max_pixels: "):
        load_settings(ServiceSettings, path)


@pytest.mark.parametrize("value", ["/models", "[/models]", "["])
def test_a_list_that_is_no_json_is_refused_with_a_hint(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("RETINUE_MODELS__ROOTS", value)
    with pytest.raises(SettingsInvalid, match=r'"models".*lists are written as JSON'):
        load_settings(ServiceSettings)


@pytest.mark.parametrize("value", [None, "x", [1]])
def test_a_group_that_is_no_mapping_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(SettingsInvalid, match="grpc: "):
        load_settings(ServiceSettings, file_of(tmp_path, f"grpc: {'' if value is None else value}\n"))


@pytest.mark.parametrize("address", ["0.0.0.0:50051", "[::]:50051", "localhost:0", "unix-host.example:65535"])
def test_addresses_are_host_and_port(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("RETINUE_GRPC__ADDRESS", address)
    assert load_settings(ServiceSettings).grpc.address == address


@pytest.mark.parametrize(("message_bytes", "is_enough"), [(1_004_095, False), (1_004_096, True)])
def test_a_message_must_hold_a_picture(
    tmp_path: Path,
    message_bytes: int,
    is_enough: bool,  # noqa: FBT001
) -> None:
    path = file_of(tmp_path, f"grpc: {{max_message_bytes: {message_bytes}}}\nimages: {{max_bytes: 1000000}}\n")
    if is_enough:
        assert load_settings(ServiceSettings, path).images.max_bytes == 1_000_000
    else:
        with pytest.raises(SettingsInvalid, match=r"^settings: .*max_message_bytes \(1004095\) must exceed"):
            load_settings(ServiceSettings, path)


@pytest.mark.parametrize("token", ["two words", "sésame", "line\n", "\t"])
def test_a_token_that_metadata_cannot_hold_is_refused_without_being_told(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("RETINUE_MODELS__CONTROL_TOKEN", token)
    with pytest.raises(SettingsInvalid, match=r"^models\.control_token: .*must be printable ASCII") as caught:
        load_settings(ServiceSettings)
    assert token not in str(caught.value)


def test_a_token_is_shown_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINUE_MODELS__CONTROL_TOKEN", "sesame")
    settings = load_settings(ServiceSettings)
    assert settings.models.control_token.get_secret_value() == "sesame"
    assert "sesame" not in f"{settings!r} {settings.model_dump(mode='json')}"


# --- what the fields say of themselves


def test_every_field_has_a_description() -> None:
    for group, whole in ServiceSettings.model_fields.items():
        parts: dict[str, Any] = getattr(whole.annotation, "model_fields", {"": whole})
        for name, field in parts.items():
            assert field.description, f"{group}.{name}"
            assert field.description.endswith("."), f"{group}.{name}"


def test_the_default_of_workers_is_left_to_the_machine() -> None:
    assert EngineSettings().workers is None
