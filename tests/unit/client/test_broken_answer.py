import asyncio

import grpc
import pytest

from retinue.classification.v1 import classification_pb2 as pb
from retinue.client.broken_answer import BrokenAnswer, is_broken_off
from retinue.client.classification import ClassificationClient
from retinue.client.classification_answer import Classification
from retinue.client.classification_async import AsyncClassificationClient
from retinue.client.errors import ServiceUnavailable
from tests.unit.client.breaking_connection import breaking
from tests.unit.client.scripted_service import Running, answer

Code = grpc.StatusCode
JPEG = b"\xff\xd8 not looked at"
HALF_BYTES = 2**20


class Failure(grpc.RpcError):
    """What gRPC raises, as far as it is read."""

    def __init__(self, code: Code, details: str | None) -> None:
        super().__init__()
        self._code, self._details = code, details

    def code(self) -> Code:
        return self._code

    def details(self) -> str | None:
        return self._details


@pytest.fixture
def served_large(served: Running) -> Running:
    """A service whose answers are larger than what travels in one go."""
    large = answer()
    large.embedding.extend([1.0] * (2 * HALF_BYTES // 4))
    served.service.on_classify = lambda *_: pb.ClassifyResponse.FromString(large.SerializeToString())
    return served


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (Code.UNAVAILABLE, "Stream removed (recvmsg:Connection reset by peer (104))"),
        (Code.UNAVAILABLE, "Socket closed"),
        (Code.UNKNOWN, "Stream removed (Data frame with END_STREAM flag received)"),  # by HAProxy
        (Code.INTERNAL, "Received RST_STREAM with error code 2"),  # by nginx
        (Code.CANCELLED, "CANCELLED"),  # by a server that stopped
    ],
)
def test_a_broken_stream_is_known_by_what_grpc_says(code: Code, details: str) -> None:
    assert is_broken_off(Failure(code, details))


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (Code.UNAVAILABLE, "the server is stopping"),
        (Code.UNAVAILABLE, "connections to all backends failing; last error: Connection refused"),
        (Code.UNAVAILABLE, None),
        (Code.CANCELLED, "Channel closed!"),
        (Code.INTERNAL, "internal error"),
        (Code.DEADLINE_EXCEEDED, "Deadline Exceeded"),
        (Code.INVALID_ARGUMENT, "Stream removed"),
    ],
)
def test_what_was_said_or_never_reached_is_no_broken_answer(code: Code, details: str | None) -> None:
    assert not is_broken_off(Failure(code, details))


def test_one_answer_is_asked_for_again_once_and_within_its_deadline() -> None:
    failure = Failure(Code.UNAVAILABLE, "Socket closed")
    broken = BrokenAnswer(60.0)
    assert 59 < broken.left_s <= 60
    assert [broken.is_to_be_repeated(failure) for _ in range(2)] == [True, False]
    assert not BrokenAnswer(-1.0).is_to_be_repeated(failure)


def test_an_answer_that_breaks_off_is_asked_for_again(served_large: Running) -> None:
    with (
        breaking(served_large.address, after_bytes=HALF_BYTES, breaks=1) as address,
        ClassificationClient(address) as client,
    ):
        assert client.classify(JPEG).embedding is not None
    assert len(served_large.service.requests) == 2
    assert len({metadata["x-request-id"] for metadata in served_large.service.metadata}) == 1


def test_an_answer_that_breaks_off_twice_is_told(served_large: Running) -> None:
    with (
        breaking(served_large.address, after_bytes=HALF_BYTES, breaks=9) as address,
        ClassificationClient(address) as client,
        pytest.raises(ServiceUnavailable),
    ):
        client.classify(JPEG)
    assert len(served_large.service.requests) == 2


def test_the_client_of_an_event_loop_asks_again_too(served_large: Running) -> None:
    async def ask(address: str) -> Classification:
        async with AsyncClassificationClient(address) as client:
            return await client.classify(JPEG)

    with breaking(served_large.address, after_bytes=HALF_BYTES, breaks=1) as address:
        assert asyncio.run(ask(address)).embedding is not None
    assert len(served_large.service.requests) == 2
