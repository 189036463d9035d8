"""The edge of the classification service, asked over a real channel."""

import gc
import threading
from collections.abc import Iterator
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from google.rpc.status_pb2 import Status
from structlog.testing import capture_logs

from retinue.classification.v1 import classification_pb2 as pb
from retinue.classification.v1 import classification_pb2_grpc
from retinue.common.v1 import image_pb2, model_pb2
from retinue.runtime.ticket import Ticket
from tests.unit.serving.hosted import Run
from tests.unit.serving.in_process import PATIENCE_S, error_info_of, status_of, violations_of

ORANGE = (255, 102, 0)  # logits 5 2 0
Options = pb.ClassificationOptions


@pytest.fixture(scope="module")
def stub(served: Run) -> classification_pb2_grpc.ClassificationServiceStub:
    return classification_pb2_grpc.ClassificationServiceStub(served.channel)


def image_of(rgb: tuple[int, int, int] = ORANGE, *, image_id: str = "", width: int = 4) -> image_pb2.Image:
    """Return a PNG of one colour, 3 pixels high."""
    pixels = np.full((3, width, 3), rgb[::-1], np.uint8)
    return image_pb2.Image(encoded=cv2.imencode(".png", pixels)[1].tobytes(), id=image_id)


def request_of(image: image_pb2.Image | None = None, model: str = "", version: str = "", **options: Any) -> Any:
    return pb.ClassifyRequest(
        image=image_of() if image is None else image,
        model=model_pb2.ModelRef(name=model, version=version),
        options=Options(**options),
    )


def refusal(call: Any, request: Any) -> tuple[grpc.StatusCode, Status]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=PATIENCE_S)
    return caught.value.code(), status_of(caught.value)


def names(response: pb.ClassifyResponse) -> list[str]:
    return [one.label.name for one in response.labels]


# --- one picture


def test_a_picture_is_answered_in_full(stub: Any) -> None:
    response = stub.Classify(request_of(image_of(image_id="a")))
    assert response.image_id == "a"
    assert names(response) == ["red", "green", "blue"]
    assert [one.label.id for one in response.labels] == [0, 1, 2]
    scores = [one.score for one in response.labels]
    assert sum(scores) == pytest.approx(1, abs=1e-6)  # three float32 roundings
    assert scores == sorted(scores, reverse=True)
    assert (response.model.name, response.model.version) == ("tiny", "10")
    assert (response.image_info.width, response.image_info.height) == (4, 3)
    assert response.image_info.format == image_pb2.IMAGE_FORMAT_PNG
    assert response.timings.batch_size == 1
    assert response.timings.infer.nanos > 0
    assert response.HasField("unknown_score")
    assert response.is_unknown is False
    assert not response.logits
    assert not response.embedding


def test_a_model_without_calibration_says_nothing_of_the_unknown(stub: Any) -> None:
    response = stub.Classify(request_of(model="plain"))
    assert not response.HasField("unknown_score")
    assert not response.HasField("is_unknown")


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (2, 2), (3, 3), (4, 3), (2**31 - 1, 3)])
def test_at_most_so_many_labels_come_back(stub: Any, top_k: int, count: int) -> None:
    assert len(stub.Classify(request_of(top_k=top_k)).labels) == count


def test_labels_below_the_threshold_are_left_out(stub: Any) -> None:
    assert names(stub.Classify(request_of(score_threshold=0.5))) == ["red"]
    assert names(stub.Classify(request_of(score_threshold=1.0))) == []
    assert len(stub.Classify(request_of(score_threshold=0.0)).labels) == 3


@pytest.mark.parametrize(
    ("model", "activation", "total"),
    [
        ("tiny", "UNSPECIFIED", 1.0),
        ("tiny", "SOFTMAX", 1.0),
        ("plain", "SOFTMAX", 1.0),
        ("tiny", "SIGMOID", 0.9933 + 0.8808 + 0.5),
        ("plain", "UNSPECIFIED", 0.9933 + 0.8808 + 0.5),
    ],
)
def test_scores_are_what_the_request_or_the_manifest_says(stub: Any, model: str, activation: str, total: float) -> None:
    response = stub.Classify(request_of(model=model, activation=f"ACTIVATION_{activation}"))
    # Sigmoids of 5, 2 and 0 to four digits.
    assert sum(one.score for one in response.labels) == pytest.approx(total, abs=2e-4)


def test_logits_and_features_come_where_they_are_asked_for(stub: Any) -> None:
    response = stub.Classify(request_of(return_logits=True, return_embedding=True, top_k=1))
    assert list(response.logits) == pytest.approx([5, 2, 0], rel=1e-6)
    assert list(response.embedding) == pytest.approx([10, 4, 0], rel=1e-6)


def test_features_of_a_model_that_has_none_are_not_supported(stub: Any) -> None:
    code, status = refusal(stub.Classify, request_of(model="plain", return_embedding=True))
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert error_info_of(status).reason == "NOT_SUPPORTED"
    assert error_info_of(status).metadata["model"] == "plain"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"top_k": 0}, "options.top_k"),
        ({"top_k": -1}, "options.top_k"),
        ({"top_k": -(2**31)}, "options.top_k"),
        ({"score_threshold": float("nan")}, "options.score_threshold"),
        ({"score_threshold": float("inf")}, "options.score_threshold"),
        ({"score_threshold": -0.001}, "options.score_threshold"),
        ({"score_threshold": 1.001}, "options.score_threshold"),
        ({"activation": 3}, "options.activation"),
        ({"activation": -1}, "options.activation"),
    ],
)
def test_an_option_out_of_range_is_named(stub: Any, options: dict[str, Any], field: str) -> None:
    code, status = refusal(stub.Classify, request_of(**options))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert [name for name, _ in violations_of(status)] == [field]


# --- which model


@pytest.mark.parametrize(
    ("model", "version", "expected"),
    [
        ("", "", "tiny@10"),
        ("tiny", "", "tiny@10"),
        ("tiny", "9", "tiny@9"),
        ("", "9", "tiny@9"),
        ("plain", "1", "plain@1"),
    ],
)
def test_a_request_may_name_its_model(stub: Any, model: str, version: str, expected: str) -> None:
    response = stub.Classify(request_of(model=model, version=version))
    assert f"{response.model.name}@{response.model.version}" == expected


@pytest.mark.parametrize(("model", "version"), [("nobody", ""), ("tiny", "8"), ("plain", "10"), ("x" * 60_000, "")])
def test_an_unknown_model_is_not_found(stub: Any, model: str, version: str) -> None:
    code, status = refusal(stub.Classify, request_of(model=model, version=version))
    assert code is grpc.StatusCode.NOT_FOUND
    assert error_info_of(status).reason == "MODEL_NOT_FOUND"


def test_a_broken_model_is_not_ready(stub: Any) -> None:
    code, status = refusal(stub.Classify, request_of(model="broken"))
    assert code is grpc.StatusCode.UNAVAILABLE
    assert error_info_of(status).reason == "MODEL_NOT_READY"


# --- which picture


def damaged() -> bytes:
    """Return a PNG whose header is whole and whose pixels are not."""
    data = image_of().encoded
    return data[:45] + b"\x00" * (len(data) - 45)


@pytest.mark.parametrize(
    ("image", "reason", "field"),
    [
        (image_pb2.Image(), "INVALID_INPUT", "image"),
        (image_pb2.Image(encoded=b""), "INVALID_IMAGE", "image.encoded"),
        (image_pb2.Image(encoded=b"%PDF-1.7"), "INVALID_IMAGE", "image.encoded"),
        (image_pb2.Image(encoded=damaged()), "INVALID_IMAGE", "image.encoded"),
        (image_of(width=134), "IMAGE_TOO_LARGE", "image.encoded"),
        (image_pb2.Image(encoded=b"x" * 100_001), "IMAGE_TOO_LARGE", "image.encoded"),
        (image_pb2.Image(encoded=image_of().encoded, id="x" * 257), "INVALID_INPUT", "image.id"),
    ],
)
def test_a_picture_that_cannot_be_used_is_named(stub: Any, image: image_pb2.Image, reason: str, field: str) -> None:
    code, status = refusal(stub.Classify, request_of(image))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info_of(status).reason == reason
    assert [name for name, _ in violations_of(status)] == [field]


def test_an_empty_request_is_told_what_it_lacks(stub: Any) -> None:
    code, status = refusal(stub.Classify, pb.ClassifyRequest())
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert violations_of(status) == [("image", "required: set encoded (a file's bytes) or raw (pixels)")]


# --- batches


def batch_of(*images: image_pb2.Image, model: str = "", version: str = "", **options: Any) -> Any:
    return pb.BatchClassifyRequest(
        images=images, model=model_pb2.ModelRef(name=model, version=version), options=Options(**options)
    )


def test_a_bad_picture_does_not_fail_its_neighbours(stub: Any) -> None:
    images = [image_of(image_id="a"), image_pb2.Image(encoded=b"junk", id="b"), image_of((0, 0, 255), image_id="c")]
    results = stub.BatchClassify(batch_of(*images, image_pb2.Image(encoded=damaged(), id="d"))).results
    assert [result.image_id for result in results] == ["a", "b", "c", "d"]
    assert [result.WhichOneof("result") for result in results] == ["response", "error", "response", "error"]
    assert [names(result.response)[:1] for result in results] == [["red"], [], ["blue"], []]
    for result in (results[1], results[3]):
        info = error_info_of(result.error)
        assert (info.domain, info.reason) == ("retinue", "INVALID_IMAGE")
    assert violations_of(results[1].error)[0][0] == "images[1].encoded"
    assert violations_of(results[3].error)[0][0] == "images[3].encoded"


def test_a_batch_answers_as_each_picture_alone(stub: Any) -> None:
    colours = [(255, 102, 0), (1, 2, 3), (200, 200, 200), (0, 0, 0)]
    results = stub.BatchClassify(batch_of(*map(image_of, colours), return_logits=True)).results
    for result, colour in zip(results, colours, strict=True):
        alone = stub.Classify(request_of(image_of(colour), return_logits=True))
        for response in (alone, result.response):
            response.ClearField("timings")
        assert result.response == alone


def test_a_picture_may_be_there_twice(stub: Any) -> None:
    results = stub.BatchClassify(batch_of(image_of(image_id="a"), image_of(image_id="a"))).results
    assert [result.image_id for result in results] == ["a", "a"]


def test_an_empty_batch_is_refused(stub: Any) -> None:
    code, status = refusal(stub.BatchClassify, batch_of())
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert violations_of(status) == [("images", "has 0 pictures; 1 to 5 are allowed")]


@pytest.mark.parametrize(("count", "is_taken"), [(5, True), (6, False)])
def test_a_batch_above_the_limit_is_refused(stub: Any, count: int, is_taken: bool) -> None:  # noqa: FBT001
    request = batch_of(*[image_of()] * count)
    if is_taken:
        assert len(stub.BatchClassify(request).results) == count
    else:
        code, status = refusal(stub.BatchClassify, request)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert violations_of(status) == [("images", "has 6 pictures; 1 to 5 are allowed")]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (batch_of(image_of(), top_k=0), grpc.StatusCode.INVALID_ARGUMENT),
        (batch_of(image_of(), model="nobody"), grpc.StatusCode.NOT_FOUND),
        (batch_of(image_of(), model="plain", return_embedding=True), grpc.StatusCode.UNIMPLEMENTED),
    ],
)
def test_what_concerns_the_whole_batch_fails_it(stub: Any, request_: Any, code: grpc.StatusCode) -> None:
    assert refusal(stub.BatchClassify, request_)[0] is code


# --- streams


def ask_stream(stub: Any, *requests: pb.ClassifyRequest) -> list[pb.ClassifyResult]:
    messages = [pb.ClassifyStreamRequest(request=request) for request in requests]
    return [response.result for response in stub.ClassifyStream(iter(messages), timeout=PATIENCE_S)]


def test_a_stream_is_answered_in_order_with_errors_in_their_places(stub: Any) -> None:
    results = ask_stream(
        stub,
        request_of(image_of(image_id="a")),
        request_of(image_pb2.Image(encoded=b"junk", id="b")),
        request_of(image_of((0, 0, 255), image_id="c"), model="plain"),
        request_of(image_of(image_id="d"), model="nobody"),
        request_of(image_of(image_id="e"), top_k=0),
        request_of(image_of(image_id="f"), model="plain", return_embedding=True),
        request_of(image_of((0, 255, 0), image_id="g"), top_k=1),
    )
    assert [result.image_id for result in results] == list("abcdefg")
    reasons = [error_info_of(one.error).reason if one.HasField("error") else "" for one in results]
    assert reasons == ["", "INVALID_IMAGE", "", "MODEL_NOT_FOUND", "INVALID_INPUT", "NOT_SUPPORTED", ""]
    assert {error_info_of(one.error).domain for one in results if one.HasField("error")} == {"retinue"}
    assert names(results[6].response) == ["green"]
    assert results[2].response.model.name == "plain"


def test_an_empty_stream_has_no_answers(stub: Any) -> None:
    assert ask_stream(stub) == []


def test_an_empty_message_of_a_stream_is_told_what_it_lacks(stub: Any) -> None:
    responses = list(stub.ClassifyStream(iter([pb.ClassifyStreamRequest()]), timeout=PATIENCE_S))
    assert [violations_of(one.result.error)[0][0] for one in responses] == ["image"]


def test_a_stream_longer_than_its_window_is_answered_in_order(stub: Any) -> None:
    requests = [request_of(image_of(image_id=str(number)), top_k=1) for number in range(150)]
    assert [result.image_id for result in ask_stream(stub, *requests)] == [str(number) for number in range(150)]


def test_a_stream_answers_before_it_is_read_to_its_end(stub: Any) -> None:
    is_over = threading.Event()

    def requests() -> Iterator[pb.ClassifyStreamRequest]:
        yield pb.ClassifyStreamRequest(request=request_of(image_of(image_id="a")))
        assert is_over.wait(PATIENCE_S)

    responses = stub.ClassifyStream(requests(), timeout=PATIENCE_S)
    assert next(responses).result.image_id == "a"
    is_over.set()
    assert list(responses) == []


# --- what is said of a call


def samples(served: Run, name: str) -> float:
    value = served.host.metrics.registry.get_sample_value(name)
    assert value is not None
    return value


def test_each_picture_that_is_opened_is_counted_with_its_size(served: Run, stub: Any) -> None:
    count, total = (samples(served, f"retinue_image_bytes_{kind}") for kind in ("count", "sum"))
    image = image_of()
    stub.BatchClassify(batch_of(image, image_pb2.Image(encoded=b"junk"), image))
    assert samples(served, "retinue_image_bytes_count") == count + 2
    assert samples(served, "retinue_image_bytes_sum") == total + 2 * len(image.encoded)


def test_the_log_line_says_which_model_answered_and_how_long_it_waited(stub: Any) -> None:
    with capture_logs() as logs:
        stub.Classify(request_of())
    (line,) = logs
    assert (line["model"], line["batch_size"]) == ("tiny@10", 1)
    assert line["queue_s"] >= 0


def test_the_log_line_of_a_batch_counts_its_items(stub: Any) -> None:
    with capture_logs() as logs:
        stub.BatchClassify(batch_of(image_of(), image_pb2.Image()))
    (line,) = logs
    assert (line["code"], line["item_count"], line["failed_items"]) == ("OK", 2, 1)


def test_the_log_line_of_a_stream_counts_its_items(stub: Any) -> None:
    with capture_logs() as logs:
        ask_stream(stub, request_of(), request_of(), request_of(image_pb2.Image()))
    (line,) = logs
    assert (line["code"], line["item_count"], line["failed_items"]) == ("OK", 3, 1)


def test_a_stream_keeps_no_picture_that_is_answered(served: Run, stub: Any) -> None:
    """What waits on the stream's caller is forgotten with its answer, or long streams would fill the memory."""
    let_go = threading.Event()

    def requests() -> Iterator[pb.ClassifyStreamRequest]:
        for number in range(100):
            yield pb.ClassifyStreamRequest(request=request_of(image_of(image_id=str(number))))
        assert let_go.wait(PATIENCE_S)

    kept = len(live_tickets())
    responses = stub.ClassifyStream(requests(), timeout=PATIENCE_S)
    for _ in range(100):
        next(responses)
    # The last ones may still be in the hands of the threads that answered them.
    assert len(live_tickets()) - kept <= 8
    let_go.set()
    assert list(responses) == []


def live_tickets() -> list[Any]:
    return [one for one in gc.get_objects() if type(one) is Ticket]
