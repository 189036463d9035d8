"""The classification service as its users meet it: a real process, the real client, real pictures."""

import asyncio
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import cv2
import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from prometheus_client.parser import text_string_to_metric_families

from loadtests.service_process import REPOSITORY, ServiceProcess
from retinue.client import AsyncClassificationClient, CallFailed, Classification, ClassificationClient, ItemError

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
NOT_A_PICTURE = b"\xff\xd8\xff\xe0 this is no JPEG"


def expected_label(picture: Path) -> str | None:
    """Return the digit on a sample, which is the first word of its name; None where it shows none."""
    word = picture.stem.partition("-")[0]
    return str(DIGITS.index(word)) if word in DIGITS else None


def test_every_sample_gets_its_label(client: ClassificationClient, samples: list[Path]) -> None:
    digits = [picture for picture in samples if expected_label(picture) is not None]
    assert len(digits) >= 4
    for picture in digits:
        answer = client.classify(picture)
        assert answer.best is not None
        assert (answer.best.label.name, answer.is_unknown) == (expected_label(picture), False), picture.name


def test_a_picture_of_no_digit_is_unknown(client: ClassificationClient, samples: list[Path]) -> None:
    strangers = [picture for picture in samples if expected_label(picture) is None]
    assert strangers
    assert all(client.classify(picture).is_unknown for picture in strangers)


def test_an_answer_says_which_model_gave_it_and_where_the_time_went(
    client: ClassificationClient, samples: list[Path]
) -> None:
    answer = client.classify(samples[0], model="digits-vit@1", top_k=3, return_logits=True, return_embedding=True)
    assert (answer.model_name, answer.model_version, answer.image_id) == ("digits-vit", "1", samples[0].name)
    assert len(answer.labels) == 3
    assert answer.logits is not None
    assert answer.logits.shape == (10,)
    assert answer.embedding is not None
    assert answer.embedding.ndim == 1
    assert answer.timings.decode_s > 0
    assert answer.timings.infer_s > 0
    assert answer.timings.batch_size >= 1


def test_pixels_and_the_file_that_holds_them_get_the_same_answer(client: ClassificationClient) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    png = cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes()
    from_file = client.classify(png, return_logits=True)
    from_pixels = client.classify(pixels, return_logits=True)
    assert from_file.logits is not None
    assert from_pixels.logits is not None
    np.testing.assert_array_equal(from_file.logits, from_pixels.logits)


def test_one_bad_picture_of_a_batch_does_not_fail_its_neighbours(
    client: ClassificationClient, samples: list[Path]
) -> None:
    first, bad, last = client.classify_batch([samples[0], NOT_A_PICTURE, samples[1]])
    assert isinstance(first, Classification)
    assert isinstance(last, Classification)
    assert isinstance(bad, ItemError)
    assert bad.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "images[1].encoded" in bad.message


def test_a_batch_answers_as_each_picture_alone(client: ClassificationClient, samples: list[Path]) -> None:
    together = client.classify_batch(samples * 4, return_logits=True)
    alone = [client.classify(picture, return_logits=True) for picture in samples] * 4
    for batched, single in zip(together, alone, strict=True):
        assert isinstance(batched, Classification)
        assert batched.logits is not None
        assert single.logits is not None
        # The same arithmetic, summed in another order for another batch size.
        np.testing.assert_allclose(batched.logits, single.logits, rtol=1e-4, atol=1e-4)


def test_a_stream_is_answered_in_order_with_errors_in_their_places(
    client: ClassificationClient, samples: list[Path]
) -> None:
    pictures: list[Path | bytes] = [*samples, NOT_A_PICTURE] * 20
    answers = list(client.classify_stream(pictures))
    assert len(answers) == len(pictures)
    for picture, answer in zip(pictures, answers, strict=True):
        if isinstance(picture, Path):
            assert isinstance(answer, Classification)
            assert answer.image_id == picture.name
        else:
            assert isinstance(answer, ItemError)


def test_the_async_client_gets_the_same_answers(
    service: ServiceProcess, client: ClassificationClient, samples: list[Path]
) -> None:
    async def ask() -> list[Classification]:
        async with AsyncClassificationClient(service.target) as asynchronous:
            return list(await asyncio.gather(*(asynchronous.classify(picture) for picture in samples)))

    for answer, picture in zip(asyncio.run(ask()), samples, strict=True):
        expected = client.classify(picture)
        assert [one.label for one in answer.labels] == [one.label for one in expected.labels]


@pytest.mark.parametrize(
    ("picture", "model", "code", "reason"),
    [
        (NOT_A_PICTURE, None, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_IMAGE"),
        (np.zeros((4, 4, 3), np.uint8), "nobody", grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND"),
        (np.zeros((4, 4, 3), np.uint8), "digits-vit@99", grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND"),
    ],
)
def test_what_cannot_be_answered_says_why(
    client: ClassificationClient,
    picture: bytes | np.ndarray,
    model: str | None,
    code: grpc.StatusCode,
    reason: str,
) -> None:
    with pytest.raises(CallFailed) as caught:
        client.classify(picture, model=model)
    assert (caught.value.code, caught.value.reason) == (code, reason)


def test_the_serving_process_has_not_loaded_torch(service: ServiceProcess, client: ClassificationClient) -> None:
    client.classify(np.zeros((4, 4, 3), np.uint8))
    loaded = Path(f"/proc/{service.pid}/maps").read_text()
    assert "onnxruntime" in loaded  # so that the check can fail
    assert "torch" not in loaded


def test_reflection_lists_the_services_and_describes_their_messages(service: ServiceProcess) -> None:
    with grpc.insecure_channel(service.target) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert set(database.get_services()) == {
            "retinue.classification.v1.ClassificationService",
            "inference.GRPCInferenceService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }
        file = database.FindFileContainingSymbol("retinue.classification.v1.ClassifyRequest")
        assert "ClassifyRequest" in [message.name for message in file.message_type]


@pytest.mark.parametrize(
    "name",
    ["", "retinue.readiness", "retinue.liveness", "retinue.classification.v1.ClassificationService"],
)
def test_health_is_serving_by_check_and_by_watch(service: ServiceProcess, name: str) -> None:
    with grpc.insecure_channel(service.target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=name)
        assert stub.Check(request, timeout=5).status == health_pb2.HealthCheckResponse.SERVING
        watch = stub.Watch(request, timeout=5)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()


def test_metrics_count_what_was_answered(service: ServiceProcess, client: ClassificationClient) -> None:
    def read() -> dict[str, float]:
        with urllib.request.urlopen(f"http://{service.http}/metrics", timeout=5) as page:
            families = list(text_string_to_metric_families(page.read().decode()))
        samples = [sample for family in families for sample in family.samples]
        return {
            "handled": sum(
                sample.value
                for sample in samples
                if sample.name == "grpc_server_handled_total"
                and sample.labels["grpc_method"] == "Classify"
                and sample.labels["grpc_code"] == "OK"
            ),
            "inferences": sum(sample.value for sample in samples if sample.name == "retinue_batch_size_sum"),
            "queue": sum(sample.value for sample in samples if sample.name == "retinue_queue_wait_seconds_count"),
        }

    before = read()
    for _ in range(5):
        client.classify(np.zeros((4, 4, 3), np.uint8))
    after = read()
    assert {name: after[name] - before[name] for name in after} == {"handled": 5, "inferences": 5, "queue": 5}


def test_tritonclient_gets_the_same_label_as_our_client(
    service: ServiceProcess, client: ClassificationClient, samples: list[Path]
) -> None:
    """Run the stock client in another process, since two descriptions of its proto cannot live in one."""
    command: list[str | Path] = [
        sys.executable,
        REPOSITORY / "tests" / "integration" / "ask_triton.py",
        service.target,
        *samples,
    ]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    answers = json.loads(output)
    for picture in samples:
        expected = client.classify(picture, return_logits=True)
        assert expected.best is not None
        assert expected.logits is not None
        answer = answers[picture.name]
        assert answer["label"] == expected.best.label.name
        assert answer["classification"].split(":")[2] == expected.best.label.name
        np.testing.assert_allclose(answer["logits"], expected.logits, rtol=1e-4, atol=1e-4)
    assert answers["batch"] == [answers[picture.name]["label"] for picture in samples]
    assert answers["is_live"]
    assert answers["is_ready"]
    assert answers["is_unknown_model_found"] is False
