"""A whole classification service in this process, with models whose answers are known by heart."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from retinue.runtime.classification_manifest import LogitsOutput, OpenSet
from retinue.serving.settings import ImageSettings, ModelSettings
from services.classification.__main__ import SERVICE
from tests.unit.serving.hosted import Run, run_host, settings_of
from tests.unit.serving.tiny_package import write_package

EMBEDDED = LogitsOutput(embedding="embedding", embedding_size=3)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """`tiny` in two versions, the latest with features and calibration, and `plain` with sigmoid and nothing else."""
    root: Path = tmp_path_factory.mktemp("models")
    write_package(root, "tiny", "9")
    write_package(root, "tiny", "10", output=EMBEDDED, open_set=OpenSet(method="energy", threshold=-4.5))
    write_package(root, "plain", "1", output=LogitsOutput(activation="sigmoid"))
    write_package(root, "broken", "1", model=b"no graph")
    settings = settings_of(
        models=ModelSettings(default="tiny"), images=ImageSettings(max_bytes=100_000, max_pixels=400, max_batch_count=5)
    )
    with run_host(dataclasses.replace(SERVICE, embedded_root=root), settings) as one:
        one.wait_ready()
        yield one
