"""What was measured to be the best setup of models on one machine: a YAML file, `<hardware>.yaml`."""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from retinue.runtime.hardware import Hardware
from retinue.runtime.manifest import Part, Sha256
from retinue.runtime.package import Package
from retinue.runtime.plain_yaml import read_plain_yaml
from retinue.runtime.setup import Setup

MAX_TUNING_BYTES = 1 << 20


class TuningInvalid(Exception):
    """A tuning file cannot be used; the message says which and why."""


class Figures(Part):
    """What a setup was measured to do, all workers busy."""

    answers_per_s: float = Field(ge=0, description="Pictures answered in a second.")
    p50_ms: float = Field(ge=0, description="Half of the answers came within.")
    p99_ms: float = Field(ge=0, description="99 % of the answers came within.")
    cpu_ms: float = Field(ge=0, description="CPU time of the whole process per answer.")
    in_flight: int = Field(ge=1, description="How many pictures were asked about at a time.")


class TunedModel(Part):
    """The best setup of one model, and what it was measured beside."""

    digest: Sha256 = Field(description="Of what was tuned: its graphs and its input policy.")
    engine: Setup = Field(description="The settings that the service takes.")
    measured: Figures = Field(description="What that did.")
    default: Figures = Field(description="What the default setup did, in the same minutes.")
    slo_ms: float = Field(gt=0, description="The 99th percentile that was asked for.")
    created: str = Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="Date, YYYY-MM-DD.")
    runtimes: dict[str, str] = Field(default_factory=dict, description="Versions of what ran it.")


class TuningFile(Part):
    """The tuned models of one machine, by ``name@version``."""

    tuning_version: Literal[1] = Field(default=1, description="Version of this format.")
    hardware: Hardware = Field(description="The machine that was measured.")
    models: dict[str, TunedModel] = Field(default_factory=dict, description="By name@version.")


def digest_of(package: Package) -> str:
    """Return what tells whether a package is the one that was tuned: of its files' digests and its input policy."""
    policy = package.manifest.input.model_dump(mode="json")
    facts = json.dumps({"files": package.manifest.files, "input": policy}, sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()


def read_tuning(path: Path, hardware: Hardware) -> TuningFile:
    """Return the tuning file of this machine.

    Raises:
        TuningInvalid: it cannot be read, a key is unknown or missing, a value is out of range, or it was measured on
            another machine; the message names the file and each key.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TUNING_BYTES + 1)
        if len(content) > MAX_TUNING_BYTES:
            raise TuningInvalid(f"{path} is above {MAX_TUNING_BYTES} bytes")
        found = TuningFile.model_validate(read_plain_yaml(content.decode()))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, one['loc'])) or 'document'}: {one['msg']}" for one in error.errors())
        raise TuningInvalid(f"{path}: {'; '.join(problems)}") from error
    except OSError as error:
        raise TuningInvalid(f"{path} cannot be read: {error.strerror or type(error).__name__}") from error
    except ValueError as error:  # no UTF-8, no YAML
        raise TuningInvalid(f"{path}: {error}") from error
    if found.hardware != hardware:
        there, here = found.hardware.slug, hardware.slug
        raise TuningInvalid(f"{path} was measured on {there}, this is {here}: tune again here")
    return found


def write_tuning(path: Path, tuning: TuningFile) -> None:
    """Write a tuning file, whole or not at all; folders are made.

    Raises:
        TuningInvalid: it cannot be written.
    """
    text = yaml.safe_dump(tuning.model_dump(mode="json", exclude_none=True), sort_keys=False, width=110)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False, encoding="utf-8") as file:
            beside = Path(file.name)
            try:
                file.write(text)
                file.flush()
                beside.chmod(0o644)
                beside.replace(path)
            except OSError:
                beside.unlink()
                raise
    except OSError as error:
        raise TuningInvalid(f"{path} cannot be written: {error.strerror or type(error).__name__}") from error
