"""What all blocking clients do, by the one of classification, against a real server in this process."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import code_pb2
from grpc_status import rpc_status

from retinue.classification.v1 import classification_pb2 as pb
from retinue.client.channel import DEFAULT_MAX_MESSAGE_BYTES
from retinue.client.classification import ClassificationClient
from retinue.client.classification_answer import Classification
from retinue.client.errors import CallFailed, DeadlinePassed, ItemError, Overloaded, ServiceUnavailable
from retinue.client.pictures import Picture, PictureSource
from tests.unit.client.scripted_service import Running, answer, error_status, result_for, running

JPEG = b"\xff\xd8 not looked at"


def test_each_call_has_a_fresh_id(client: ClassificationClient, served: Running) -> None:
    client.classify(JPEG)
    client.classify(JPEG)
    first, second = (metadata["x-request-id"] for metadata in served.service.metadata)
    assert first != second
    assert len(first) == 32


def test_the_deadline_is_always_sent(served: Running) -> None:
    with ClassificationClient(served.address, timeout_s=5.0, stream_timeout_s=50.0) as client:
        client.classify(JPEG)
        client.classify(JPEG, timeout_s=2.0)
        client.classify_batch([JPEG])
        list(client.classify_stream([JPEG]))
    remaining = served.service.times_remaining_s
    for actual, sent in zip(remaining, [5.0, 2.0, 5.0, 50.0], strict=True):
        assert actual is not None
        assert sent - 1.9 < actual < sent * 1.02  # busy machines are late; gRPC rounds up to about 1 % in the header


@pytest.mark.parametrize("timeout_s", [None, 0, -1.0, float("nan"), float("inf")])
def test_a_client_without_a_deadline_is_refused(timeout_s: Any) -> None:
    with pytest.raises(ValueError, match="timeout_s"):
        ClassificationClient("127.0.0.1:1", timeout_s=timeout_s)
    with pytest.raises(ValueError, match="stream_timeout_s"):
        ClassificationClient("127.0.0.1:1", stream_timeout_s=timeout_s)


def test_nothing_is_sent_of_what_cannot_be(client: ClassificationClient, served: Running, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        client.classify(tmp_path / "missing.jpg")
    with pytest.raises(ValueError, match="top_k"):
        client.classify(JPEG, top_k=0)
    with pytest.raises(TypeError, match="unknown keyword topk"):
        client.classify(JPEG, topk=3)  # type: ignore[call-arg]  # the point of the test
    with pytest.raises(ValueError, match="timeout_s"):
        client.classify(JPEG, timeout_s=0)
    with pytest.raises(ValueError, match="max_in_flight"):
        client.classify_stream([JPEG], max_in_flight=0)
    assert served.service.requests == []


@pytest.mark.parametrize("size_bytes", [10, 2**20])
def test_unavailable_is_asked_again(client: ClassificationClient, served: Running, size_bytes: int) -> None:
    """The larger picture is above gRPC's default retry buffer, with which it would never be sent twice."""
    outcomes = iter([grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE, None])

    def flaky(request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
        code = next(outcomes)
        if code is not None:
            context.abort(code, "draining")
        return answer(request.image.id)

    served.service.on_classify = flaky
    assert client.classify(Picture(b"x" * size_bytes, "again")).image_id == "again"
    assert len(served.service.requests) == 3
    assert len({metadata["x-request-id"] for metadata in served.service.metadata}) == 1


def test_retries_end_after_four_attempts(client: ClassificationClient, served: Running) -> None:
    def unavailable(request: Any, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.UNAVAILABLE, "draining")

    served.service.on_classify = unavailable
    with pytest.raises(ServiceUnavailable, match="draining"):
        client.classify(JPEG)
    assert len(served.service.requests) == 4


def test_all_calls_of_a_replica_that_goes_are_asked_again(client: ClassificationClient, served: Running) -> None:
    """A server answers at most 256 calls at once, so that many may fail in one instant; retries must not stop there."""

    def lost_at_first(request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
        if "grpc-previous-rpc-attempts" not in dict(context.invocation_metadata()):
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        return answer(request.image.id)

    served.service.on_classify = lost_at_first
    with ThreadPoolExecutor(64) as pool:
        answers = [pool.submit(client.classify, JPEG) for _ in range(256)]
    assert all(one.exception() is None for one in answers)


def test_overload_is_not_asked_again_and_says_when(client: ClassificationClient, served: Running) -> None:
    def overloaded(request: Any, context: grpc.ServicerContext) -> None:
        status = error_status(code_pb2.RESOURCE_EXHAUSTED, "OVERLOADED", retry_after_s=0.25)
        context.abort_with_status(rpc_status.to_status(status))

    served.service.on_classify = overloaded
    with pytest.raises(Overloaded) as caught:
        client.classify(JPEG, request_id="r-1")
    assert len(served.service.requests) == 1
    failure = caught.value
    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert failure.retry_after_s == 0.25
    assert failure.metadata == {"field": "image"}
    assert failure.request_id == "r-1"


def test_a_message_above_the_services_limit_is_no_overload(client: ClassificationClient, served: Running) -> None:
    """That status is what gRPC uses for it as well; backing off would not help."""
    with pytest.raises(CallFailed) as caught:
        client.classify(b"x" * (5 * 2**20))  # above the 4 MiB that a server takes by default
    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not isinstance(caught.value, Overloaded)


def test_a_picture_above_the_clients_limit_is_not_sent(served: Running) -> None:
    with ClassificationClient(served.address, max_message_bytes=100_000) as client:
        with pytest.raises(ValueError, match="at most"):
            client.classify(b"x" * 100_000)
        with pytest.raises(ValueError, match="use a stream"):
            client.classify_batch([b"x" * 60_000] * 2)
    assert served.service.requests == []


def test_no_answer_in_time_is_a_passed_deadline(client: ClassificationClient, served: Running) -> None:
    served.service.on_classify = lambda *_: served.service.released.wait()
    with pytest.raises(DeadlinePassed):
        client.classify(JPEG, timeout_s=0.05)


def test_garbled_details_do_not_hide_the_failure(client: ClassificationClient, served: Running) -> None:
    def garbled(request: Any, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff\x01"),))
        context.abort(grpc.StatusCode.NOT_FOUND, "no model x")

    served.service.on_classify = garbled
    with pytest.raises(CallFailed, match=r"NOT_FOUND: no model x \[request ") as caught:
        client.classify(JPEG)
    assert (caught.value.reason, caught.value.metadata, caught.value.retry_after_s) == ("", {}, None)


def test_a_closed_port_is_an_unavailable_service() -> None:
    with running() as served:
        address = served.address
    with ClassificationClient(address) as client, pytest.raises(ServiceUnavailable):
        client.classify(JPEG)


def test_a_replica_that_is_not_ready_gets_no_calls() -> None:
    with running() as ready, running(is_ready=False) as drained:
        with ClassificationClient([ready.address, drained.address]) as client:
            for _ in range(20):
                client.classify(JPEG)
        assert len(ready.service.requests) == 20
        assert drained.service.requests == []


def test_ready_replicas_share_the_calls() -> None:
    with running() as one, running() as other, ClassificationClient([one.address, other.address]) as client:
        # The first calls go to whichever connects first; after that they alternate.
        for _ in range(1000):
            client.classify(JPEG)
            if one.service.requests and other.service.requests:
                break
        before = len(one.service.requests), len(other.service.requests)
        for _ in range(20):
            client.classify(JPEG)
        after = len(one.service.requests), len(other.service.requests)
    assert [later - earlier for later, earlier in zip(after, before, strict=True)] == [10, 10]


def test_a_bad_picture_of_a_batch_leaves_its_neighbours_alone(
    client: ClassificationClient, served: Running, tmp_path: Path
) -> None:
    good = tmp_path / "good.jpg"
    good.write_bytes(JPEG)
    pixels = np.zeros((2, 2, 3), np.uint8)
    results = client.classify_batch(
        [good, tmp_path / "missing.jpg", Picture(b"bad", "bad"), Picture(b"", "empty"), pixels], request_id="b-1"
    )
    assert [type(result) for result in results] == [Classification, ItemError, ItemError, ItemError, Classification]
    assert [result.image_id for result in results] == ["good.jpg", "missing.jpg", "bad", "empty", ""]
    errors = [result for result in results if isinstance(result, ItemError)]
    assert [error.reason for error in errors] == ["PICTURE_UNREADABLE", "INVALID_IMAGE", "PICTURE_INVALID"]
    assert {error.request_id for error in errors} == {"b-1"}
    assert errors[1].metadata == {"field": "image"}
    assert len(served.service.requests[0].images) == 3


def test_a_batch_of_nothing_asks_nothing(client: ClassificationClient, served: Running, tmp_path: Path) -> None:
    assert client.classify_batch([]) == []
    (error,) = client.classify_batch([tmp_path / "missing.jpg"])
    assert isinstance(error, ItemError)
    assert served.service.requests == []


def test_a_batch_answered_in_part_is_a_failure(client: ClassificationClient, served: Running) -> None:
    served.service.on_batch = lambda *_: pb.BatchClassifyResponse(results=[pb.ClassifyResult()])
    with pytest.raises(CallFailed, match="1 results for 2 pictures"):
        client.classify_batch([JPEG, JPEG])


def test_a_result_that_is_neither_answer_nor_error_is_an_error(client: ClassificationClient, served: Running) -> None:
    served.service.on_batch = lambda *_: pb.BatchClassifyResponse(results=[pb.ClassifyResult()])
    (error,) = client.classify_batch([JPEG])
    assert isinstance(error, ItemError)
    assert error.code is grpc.StatusCode.UNKNOWN


def test_a_failed_batch_is_raised(client: ClassificationClient, served: Running) -> None:
    served.service.on_batch = lambda _, context: context.abort(grpc.StatusCode.INVALID_ARGUMENT, "65 images")
    with pytest.raises(CallFailed, match="65 images"):
        client.classify_batch([JPEG])


def test_a_stream_keeps_the_order_with_bad_pictures_in_their_places(
    client: ClassificationClient, tmp_path: Path
) -> None:
    pictures: list[PictureSource | Picture] = [
        Picture(b"bad", "0"),
        Picture(JPEG, "1"),
        tmp_path / "2",
        Picture(b"", "3"),
        Picture(JPEG, "4"),
        tmp_path / "5",
    ]
    results = list(client.classify_stream(pictures, max_in_flight=2))
    assert [result.image_id for result in results] == ["0", "1", "2", "3", "4", "5"]
    assert [index for index, result in enumerate(results) if isinstance(result, Classification)] == [1, 4]


def test_a_long_stream_is_answered_completely(client: ClassificationClient) -> None:
    results = list(client.classify_stream((Picture(JPEG, str(number)) for number in range(500)), max_in_flight=7))
    assert [result.image_id for result in results] == [str(number) for number in range(500)]


def test_an_empty_stream_ends_at_once(client: ClassificationClient) -> None:
    assert list(client.classify_stream([])) == []


@pytest.mark.parametrize("max_in_flight", [1, 3])
def test_a_stream_reads_no_further_ahead_than_its_window(client: ClassificationClient, max_in_flight: int) -> None:
    taken: list[int] = []
    is_allowed, is_exceeded = threading.Event(), threading.Event()

    def endless() -> Iterator[Picture]:
        for number in itertools.count():
            taken.append(number)
            if number >= max_in_flight + 1 and not is_allowed.is_set():
                is_exceeded.set()
            yield Picture(JPEG, str(number))

    results = client.classify_stream(endless(), max_in_flight=max_in_flight)
    next(results)
    assert not is_exceeded.wait(0.1), "one answer is given back, so one more than the window may be taken"
    is_allowed.set()
    for given in range(2, 30):
        next(results)
        assert given <= len(taken) <= given + max_in_flight
    results.close()


def test_an_answer_does_not_wait_for_the_next_picture(client: ClassificationClient) -> None:
    """As with a camera: the second picture is there only after the first was answered."""
    is_answered = threading.Event()

    def camera() -> Iterator[Picture]:
        yield Picture(JPEG, "first")
        assert is_answered.wait(10)
        yield Picture(JPEG, "second")

    results = client.classify_stream(camera())
    assert next(results).image_id == "first"
    is_answered.set()
    assert [result.image_id for result in results] == ["second"]


def test_a_stream_that_is_left_cancels_its_call(client: ClassificationClient, served: Running) -> None:
    is_cancelled = threading.Event()

    def watched(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[pb.ClassifyStreamResponse]:
        context.add_callback(is_cancelled.set)
        for request in requests:
            yield pb.ClassifyStreamResponse(result=result_for(request.request.image))

    served.service.on_stream = watched
    for _ in client.classify_stream(Picture(JPEG, str(number)) for number in itertools.count()):
        break
    assert is_cancelled.wait(10)


def test_what_the_pictures_raise_reaches_the_caller(client: ClassificationClient) -> None:
    def broken() -> Iterator[bytes]:
        yield JPEG
        raise LookupError("the disk is gone")

    with pytest.raises(LookupError, match="the disk is gone"):
        list(client.classify_stream(broken()))
    with pytest.raises(TypeError, match="not int"):
        list(client.classify_stream([7]))  # type: ignore[list-item]  # the point of the test


def test_a_stream_that_fails_gives_the_answers_until_then(client: ClassificationClient, served: Running) -> None:
    def failing_later(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[pb.ClassifyStreamResponse]:
        yield pb.ClassifyStreamResponse(result=result_for(next(requests).request.image))
        next(requests)
        context.abort(grpc.StatusCode.INTERNAL, "internal error")

    served.service.on_stream = failing_later
    results = client.classify_stream([Picture(JPEG, "0"), Picture(JPEG, "1")], request_id="s-1")
    assert next(results).image_id == "0"
    with pytest.raises(CallFailed, match="internal error") as caught:
        next(results)
    assert caught.value.request_id == "s-1"


def test_a_stream_ended_too_early_is_a_failure(client: ClassificationClient, served: Running) -> None:
    served.service.on_stream = lambda *_: iter(())
    with pytest.raises(CallFailed, match="before all pictures were answered"):
        list(client.classify_stream([JPEG]))


def test_a_stream_that_stalls_is_a_passed_deadline(client: ClassificationClient, served: Running) -> None:
    def stalling(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[pb.ClassifyStreamResponse]:
        yield pb.ClassifyStreamResponse(result=result_for(next(requests).request.image))
        served.service.released.wait()

    served.service.on_stream = stalling
    results = client.classify_stream([Picture(JPEG, "0"), Picture(JPEG, "1")], timeout_s=0.2)
    assert next(results).image_id == "0"
    with pytest.raises(DeadlinePassed, match=r"no answer for 0\.2 s"):
        next(results)


def test_a_stream_has_a_deadline_as_a_whole(served: Running) -> None:
    served.service.on_stream = lambda *_: iter([served.service.released.wait()])
    with ClassificationClient(served.address, stream_timeout_s=0.05) as client, pytest.raises(DeadlinePassed):
        list(client.classify_stream([JPEG]))


def test_a_stream_is_asked_again_before_its_first_answer(client: ClassificationClient, served: Running) -> None:
    outcomes = iter([True, False])

    def flaky(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[pb.ClassifyStreamResponse]:
        if next(outcomes):
            context.abort(grpc.StatusCode.UNAVAILABLE, "draining")
        for request in requests:
            yield pb.ClassifyStreamResponse(result=result_for(request.request.image))

    served.service.on_stream = flaky
    assert len(list(client.classify_stream([Picture(JPEG, "0")] * 3))) == 3


def test_threads_may_share_a_client(client: ClassificationClient) -> None:
    found: list[str] = []

    def ask(name: str) -> None:
        found.extend(result.image_id for result in client.classify_stream([Picture(JPEG, name)] * 20))

    threads = [threading.Thread(target=ask, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["a"] * 20 + ["b"] * 20 + ["c"] * 20


def test_the_default_limit_holds_a_large_picture() -> None:
    assert DEFAULT_MAX_MESSAGE_BYTES == 64 * 2**20
