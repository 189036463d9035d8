"""Tuning files: written, read, and refused where they are not for this machine or not what they should be."""

from pathlib import Path

import pytest

from retinue.runtime.classification_manifest import InputPolicy
from retinue.runtime.hardware import Hardware
from retinue.runtime.package import open_package
from retinue.runtime.setup import Setup
from retinue.runtime.tuning_file import (
    MAX_TUNING_BYTES,
    Figures,
    TunedModel,
    TuningFile,
    TuningInvalid,
    digest_of,
    read_tuning,
    write_tuning,
)
from tests.unit.cli.tiny_classifiers import make_package

HERE = Hardware(cpu="Testing 1", cores=2)
FIGURES = Figures(answers_per_s=100, p50_ms=5, p99_ms=20, cpu_ms=3, in_flight=8)
TUNED = TunedModel(
    digest="0" * 64,
    engine=Setup(providers=("openvino",), workers=2, max_batch_size=8),
    measured=FIGURES,
    default=FIGURES,
    slo_ms=50,
    created="2026-11-24",
    runtimes={"openvino": "1"},
)
FILE = TuningFile(hardware=HERE, models={"pets@1": TUNED})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "new" / "here.yaml"
    write_tuning(path, FILE)
    return path


def test_file_is_read_as_it_was_written(path: Path) -> None:
    assert read_tuning(path, HERE) == FILE
    assert [one.name for one in path.parent.iterdir()] == ["here.yaml"]


def test_file_of_another_machine_is_refused(path: Path) -> None:
    for other in (Hardware(cpu="Testing 1", cores=4), Hardware(cpu="Testing 1", cores=2, accelerator="NVIDIA L4")):
        with pytest.raises(TuningInvalid, match="was measured on testing-1-2-cores, this is testing-1-"):
            read_tuning(path, other)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("workers: 2", "workres: 2", r"models.pets@1.engine.workers: Field required"),
        ("workers: 2", "workers: 2\n      speed: 9", r"models.pets@1.engine.speed: Extra inputs"),
        ("workers: 2", "workers: 0", r"models.pets@1.engine.workers: "),
        ("- openvino", "- gpu", r"models.pets@1.engine.providers.0: "),
        ("tuning_version: 1", "tuning_version: 2", r"tuning_version: "),
        ("tuning_version: 1", "tuning_version: 1\ncolour: red", r"colour: Extra inputs"),
        ("slo_ms: 50.0", "slo_ms: .nan", r"slo_ms: "),
        ("cores: 2", "cores: 2\n  cores: 2", r"a key is repeated"),
    ],
)
def test_what_is_not_known_or_out_of_range_is_named(path: Path, old: str, new: str, problem: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))

    with pytest.raises(TuningInvalid, match=problem) as raised:
        read_tuning(path, HERE)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"a: [", b" " * (MAX_TUNING_BYTES + 1)])
def test_what_is_no_tuning_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "here.yaml").write_bytes(content)
    with pytest.raises(TuningInvalid, match=r"here\.yaml"):
        read_tuning(tmp_path / "here.yaml", HERE)


def test_what_cannot_be_read_or_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TuningInvalid, match="cannot be read: Is a directory"):
        read_tuning(tmp_path, HERE)
    (tmp_path / "file").write_text("")
    with pytest.raises(TuningInvalid, match="cannot be written"):
        write_tuning(tmp_path / "file" / "here.yaml", FILE)


def test_digest_changes_with_the_graph_and_with_what_it_is_fed(tmp_path: Path) -> None:
    package = open_package(make_package(tmp_path))
    same = open_package(make_package(tmp_path, version="2"))
    wider = package.manifest.model_copy(update={"input": InputPolicy(height=8, width=16, fit="stretch")})
    changed = package.manifest.model_copy(update={"files": {"model.onnx": "1" * 64}})

    assert digest_of(package) == digest_of(same)
    digests = {digest_of(type(package)(package.folder, manifest)) for manifest in (package.manifest, wider, changed)}
    assert len(digests) == 3


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "here.yaml").mkdir()
    with pytest.raises(TuningInvalid, match="cannot be written"):
        write_tuning(tmp_path / "here.yaml", FILE)
    assert [path.name for path in tmp_path.iterdir()] == ["here.yaml"]
