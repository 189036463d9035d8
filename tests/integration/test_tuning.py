"""What `retinue tune` finds is what a service runs with; and OpenVINO answers as ONNX Runtime does, served."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtests.service_process import REPOSITORY, ServiceProcess
from retinue.cli.main import main
from retinue.client import ClassificationClient, DetectionClient, SegmentationClient
from retinue.runtime.hardware import this_hardware
from retinue.runtime.providers import installed_providers
from retinue.runtime.tuning_file import read_tuning, write_tuning

MODELS = REPOSITORY / "services" / "classification" / "models"
COINS = REPOSITORY / "services" / "detection" / "samples" / "coins.png"
PICTURE = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
needs_openvino = pytest.mark.skipif("openvino" not in installed_providers(), reason="an extra")


def events(log: Path, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with what was found for the embedded classifier, in little time."""
    folder = tmp_path_factory.mktemp("tuned") / "tuning"
    arguments = ["tune", "digits-mobilenet", "--root", str(MODELS), "--budget-s", "4", "--max-batch", "8"]
    assert main([*arguments, "--out", str(folder)]) == 0
    return folder


def test_a_service_takes_what_was_tuned_and_says_so(folder: Path, tmp_path: Path) -> None:
    here = this_hardware()
    path = folder / f"{here.slug}.yaml"
    tuning = read_tuning(path, here)
    tuned = tuning.models["digits-mobilenet@1"]
    # Whatever won, something that differs from the default, so that it can be seen.
    other = tuned.engine.model_copy(update={"providers": ("cpu",), "workers": 3, "max_batch_size": 5})
    write_tuning(
        path,
        tuning.model_copy(update={"models": {"digits-mobilenet@1": tuned.model_copy(update={"engine": other})}}),
    )
    log = tmp_path / "service.log"
    settings = {"RETINUE_ENGINE__TUNING": str(folder), "RETINUE_ENGINE__MAX_DELAY_MS": "0"}
    with ServiceProcess("classification", log, settings) as service, ClassificationClient(service.target) as client:
        assert client.classify(PICTURE).labels

    [taken] = events(log, "tuning_taken")
    assert (taken["model"], taken["file"], taken["settings_kept"]) == (
        "digits-mobilenet@1",
        str(path),
        ["max_delay_ms"],
    )
    workers = {event["model"]: event["workers"] for event in events(log, "model_ready")}
    assert workers["digits-mobilenet"] == 3
    assert workers["digits-vit"] == here.cores


def test_a_tuning_file_that_cannot_be_used_is_told_and_the_service_serves(folder: Path, tmp_path: Path) -> None:
    name = f"{this_hardware().slug}.yaml"
    (tmp_path / name).write_text((folder / name).read_text() + "colour: red\n")
    log = tmp_path / "service.log"
    with (
        ServiceProcess("classification", log, {"RETINUE_ENGINE__TUNING": str(tmp_path)}) as service,
        ClassificationClient(service.target) as client,
    ):
        assert client.classify(PICTURE).labels
    [refused] = events(log, "tuning_refused")
    assert "colour: Extra inputs" in refused["problem"]


@needs_openvino
def test_services_answer_by_openvino_as_by_onnx_runtime(tmp_path: Path) -> None:
    answers: dict[str, list[Any]] = {}
    for provider in ("cpu", "openvino"):
        settings = {"RETINUE_ENGINE__PROVIDERS": json.dumps([provider])}
        logs = [tmp_path / f"{provider}-{number}.log" for number in range(3)]
        with (
            ServiceProcess("classification", logs[0], settings) as classification,
            ServiceProcess("detection", logs[1], settings) as detection,
            ServiceProcess("segmentation", logs[2], settings) as segmentation,
            ClassificationClient(classification.target) as classifier,
            DetectionClient(detection.target) as detector,
            SegmentationClient(segmentation.target) as segmenter,
        ):
            labels = classifier.classify(COINS, top_k=10).labels
            found = detector.detect(COINS).detections
            things = segmenter.segment(COINS).instances
        assert len(found) > 10
        assert len(things) > 10
        answers[provider] = [
            np.array([label.score for label in labels]),
            np.array([(*one.box, one.score) for one in found]),
            np.array([(*one.box, one.area_px, one.label_id) for one in things]),
        ]
        assert {event["provider"] for log in logs for event in events(log, "graph_loaded")} == {provider}
    for mine, other in zip(answers["openvino"], answers["cpu"], strict=True):
        np.testing.assert_allclose(mine, other, atol=0.01, rtol=0.001)


@needs_openvino
def test_a_service_that_runs_openvino_ends_quietly(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    settings = {"RETINUE_ENGINE__PROVIDERS": '["openvino"]'}
    with (
        ServiceProcess("classification", log, settings) as process,
        ClassificationClient(process.target) as client,
    ):
        client.classify(PICTURE)
        assert process.stop() == 0
    text = log.read_text()
    assert "terminate called" not in text
    assert "fork" not in text
