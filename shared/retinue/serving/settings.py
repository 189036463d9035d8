"""Settings of a service: one frozen typed object, built once and passed on. Nothing else reads the environment.

Environment (`RETINUE_…`, nested with `__`) comes before the YAML file, which comes before the defaults. A key that
nothing reads is an error, in the file and in the environment alike: a misspelt limit must not pass for a limit.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from retinue.runtime.picture import PictureLimits
from retinue.runtime.provider import Provider

PREFIX = "RETINUE_"
CONFIG_VARIABLE = "RETINUE_CONFIG"
_ENVELOPE_BYTES = 4096  # what a message holds besides its picture
_DELIMITER = "__"
# Kubernetes sets these for every Service of a namespace; for one called retinue-… they carry our prefix. The value of
# …_PORT must look like one, so that a wish such as RETINUE_HTTP_PORT=80 is not taken for it.
_SERVICE_LINK = re.compile(
    r"\w+(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)=.*|\w+_PORT=(tcp|udp|sctp)://.*",
    re.DOTALL,
)


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError("must be host:port, with a port of 0 to 65535")
    return value


def _token(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[\x21-\x7e]*", value.get_secret_value()):
        raise ValueError("must be printable ASCII without spaces, which is what metadata can hold")
    return value


Address = Annotated[str, AfterValidator(_address)]


Token = Annotated[SecretStr, AfterValidator(_token)]


class SettingsInvalid(Exception):
    """The settings cannot be used; the message names each key."""


class Group(BaseModel):
    """Settings that belong together; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GrpcSettings(Group):
    """The gRPC port."""

    address: Address = Field(default="127.0.0.1:50051", description="host:port to listen on; port 0 takes a free one.")
    max_message_bytes: int = Field(
        default=64 * 2**20, ge=2**16, lt=2**31, description="Largest message in or out; gRPC counts to 2^31."
    )
    max_in_flight_calls: int = Field(
        default=320, ge=1, le=4096, description="RPCs handled at once; each holds a waiting thread. More are refused."
    )
    max_connection_age_s: float = Field(
        default=300.0,
        gt=0,
        le=1_000_000,
        description="A connection is renewed after this, so that clients find new replicas.",
    )
    drain_delay_s: float = Field(
        default=1.0, ge=0, le=300, description="After SIGTERM: how long NOT_SERVING is shown before calls are refused."
    )
    grace_s: float = Field(default=25.0, ge=0, le=600, description="After that: how long calls in flight may go on.")


class HttpSettings(Group):
    """The side port with /metrics, /healthz and /readyz."""

    address: Address = Field(default="127.0.0.1:8080", description="host:port to listen on; port 0 takes a free one.")


class ImageSettings(Group):
    """Limits on pictures."""

    max_bytes: int = Field(default=20 * 2**20, ge=1, description="Largest encoded or raw picture.")
    max_pixels: int = Field(default=50_000_000, ge=1, description="Most pixels, read from the header before decoding.")
    max_batch_count: int = Field(default=64, ge=1, le=4096, description="Most pictures in one batch request.")

    @property
    def limits(self) -> PictureLimits:
        """The limits on one picture."""
        return PictureLimits(max_bytes=self.max_bytes, max_pixels=self.max_pixels)


class ModelSettings(Group):
    """Where models come from."""

    roots: tuple[Path, ...] = Field(default=(), description="Model repositories; the first that holds a model wins.")
    is_embedded_served: bool = Field(default=True, description="Whether the service's own models are served as well.")
    load: tuple[str, ...] = Field(default=(), description="name or name@version of what to load; empty: everything.")
    default: str = Field(default="", description="The model that answers where a request names none.")
    max_versions: int | None = Field(
        default=None, ge=1, description="Most versions of a model served at once, the latest good ones; default all."
    )
    poll_interval_s: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="How often the roots are looked at for packages that came, changed or went; 0: never.",
    )
    is_control_allowed: bool = Field(
        default=False,
        description="Whether models may be loaded and unloaded by whoever reaches the port and has the token.",
    )
    control_token: Token = Field(
        default=SecretStr(""), description="What such calls must bring; empty: nothing, reaching the port is enough."
    )


class EngineSettings(Group):
    """How each model is run."""

    providers: tuple[Provider, ...] = Field(
        default=("cpu",),
        min_length=1,
        description="What runs models, the most wanted first; each is required. All but openvino are ONNX Runtime's.",
    )
    is_fallback_allowed: bool = Field(default=False, description="Whether a missing provider is passed over, warned.")
    workers: int | None = Field(default=None, ge=1, le=256, description="Threads per model; default one per core.")
    threads: int = Field(default=1, ge=1, le=256, description="Threads of one run.")
    is_session_shared: bool = Field(
        default=True,
        description="Whether workers run one session of ONNX Runtime; on a CPU each may have its own.",
    )
    max_batch_size: int = Field(default=4, ge=1, le=1024, description="Most pictures in one run of a model.")
    max_batch_pixels: int = Field(
        default=8 * 2**20,
        ge=1,
        description="Most input pixels in one run: large pictures run in smaller batches, the largest alone.",
    )
    max_delay_ms: float = Field(
        default=0.0,
        ge=0,
        le=10_000,
        description="How long a picture may be held back for its batch to fill; never beyond what its deadline allows.",
    )
    max_queue_count: int = Field(default=512, ge=1, description="Most pictures waiting for a model; more are refused.")
    max_queue_bytes: int = Field(default=512 * 2**20, ge=1, description="Most bytes waiting for a model.")
    tuning: Path = Field(
        default=Path("tuning"),
        description="Folder of what `retinue tune` found, by hardware; taken for what no setting says otherwise.",
    )
    is_capture_allowed: bool = Field(
        default=False, description="Whether a GPU records runs of fixed shapes and replays them (CUDA graphs)."
    )
    cache: Path | None = Field(
        default=None,
        description="Folder for what is compiled: OpenVINO's graphs, TensorRT's engines; none by default.",
    )


class LogSettings(Group):
    """The log on stdout."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level shown.")
    format: Literal["auto", "json", "pretty"] = Field(default="auto", description="auto: pretty on a terminal.")


class TracingSettings(Group):
    """Traces for OpenTelemetry; needs the extra `tracing`."""

    endpoint: Address | Literal[""] = Field(
        default="", description="host:port of a collector that takes OTLP over plaintext gRPC; empty: no traces."
    )
    sample_ratio: float = Field(
        default=1.0, ge=0, le=1, description="Share of the calls traced where their caller has not decided it."
    )


class HostSettings(BaseSettings):
    """What every service has: its ports, its log and its traces."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter=_DELIMITER, extra="forbid", frozen=True)

    grpc: GrpcSettings = Field(default_factory=GrpcSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    workers: int = Field(default=1, ge=1, le=256, description="Processes that serve on the same port.")
    log: LogSettings = Field(default_factory=LogSettings)
    tracing: TracingSettings = Field(default_factory=TracingSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file; `load_settings` passes the file's content as the initial values."""
        return (env_settings, init_settings)


class ServiceSettings(HostSettings):
    """All settings of one service of models."""

    images: ImageSettings = Field(default_factory=ImageSettings)
    models: ModelSettings = Field(default_factory=ModelSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)

    @model_validator(mode="after")
    def _a_message_holds_a_picture(self) -> "ServiceSettings":
        if self.grpc.max_message_bytes < self.images.max_bytes + _ENVELOPE_BYTES:
            raise ValueError(
                f"grpc.max_message_bytes ({self.grpc.max_message_bytes}) must exceed images.max_bytes "
                f"({self.images.max_bytes}) by at least {_ENVELOPE_BYTES}"
            )
        return self


Settings = TypeVar("Settings", bound=HostSettings)


def load_settings(kind: type[Settings], config: Path | None = None) -> Settings:
    """Return the settings of a service from the environment, the YAML file and the defaults.

    Args:
        kind: the service's class of settings.
        config: the YAML file; where None, the one that `RETINUE_CONFIG` names, if it is set.

    Raises:
        SettingsInvalid: the file cannot be read, a key is unknown or a value is out of range; the message names each.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    path = config or (Path(named) if named else None)
    content = _read(path) if path else {}
    if unknown := _unknown_variables(kind, os.environ):
        raise SettingsInvalid(f"unknown environment variables: {', '.join(unknown)}")
    if strange := [str(key) for key in content if key not in kind.model_fields]:
        raise SettingsInvalid(f"unknown keys in {path}: {', '.join(strange)}")
    try:
        return kind(**content)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc'])) or 'settings'}: {one['msg']}" for one in error.errors()]
        raise SettingsInvalid("; ".join(problems)) from error
    except SettingsError as error:  # a variable that must be JSON is not
        raise SettingsInvalid(f'{error}; lists are written as JSON, such as ["/models"]') from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsInvalid(f"{path} cannot be read: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsInvalid(f"{path} must hold keys and values, not a {type(content).__name__}")
    return content


def _unknown_variables(kind: type[BaseModel], environment: Mapping[str, str]) -> Sequence[str]:
    """Return the variables with our prefix that no setting reads."""
    ours = [name for name in environment if name.startswith(PREFIX) and name != CONFIG_VARIABLE]
    return sorted(
        name
        for name in ours
        if not _is_known(kind, name[len(PREFIX) :].lower())
        and not _SERVICE_LINK.fullmatch(f"{name}={environment[name]}")
    )


def _is_known(kind: type[BaseModel], key: str) -> bool:
    head, _, rest = key.partition(_DELIMITER)
    if head not in kind.model_fields:
        return False
    inner = kind.model_fields[head].annotation
    if not rest:
        return True
    return isinstance(inner, type) and issubclass(inner, BaseModel) and _is_known(inner, rest)
