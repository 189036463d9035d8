"""What all clients for event loops do, by the one of classification; what blocking ones do too is tested there."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest

from retinue.classification.v1 import classification_pb2 as pb
from retinue.client.classification_answer import Classification
from retinue.client.classification_async import AsyncClassificationClient
from retinue.client.errors import CallFailed, DeadlinePassed, ItemError
from retinue.client.pictures import Picture, PictureSource
from tests.unit.client.scripted_service import Running, answer, result_for

JPEG = b"\xff\xd8 not looked at"


def test_many_calls_run_at_once(served: Running) -> None:
    barrier = threading.Barrier(3)

    def together(request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
        barrier.wait(10)
        return answer(request.image.id)

    async def ask() -> list[Classification]:
        async with AsyncClassificationClient(served.address) as client:
            return await asyncio.gather(*(client.classify(Picture(JPEG, name)) for name in "abc"))

    served.service.on_classify = together
    assert [found.image_id for found in asyncio.run(ask())] == ["a", "b", "c"]


def test_unavailable_is_asked_again(served: Running) -> None:
    outcomes = iter([True, False])

    def flaky(request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
        if next(outcomes):
            context.abort(grpc.StatusCode.UNAVAILABLE, "draining")
        return answer(request.image.id)

    async def ask() -> Classification:
        async with AsyncClassificationClient(served.address) as client:
            return await client.classify(b"x" * 2**20)

    served.service.on_classify = flaky
    asyncio.run(ask())
    assert len(served.service.requests) == 2


def test_failures_are_those_of_the_blocking_client(served: Running) -> None:
    async def ask() -> None:
        async with AsyncClassificationClient(served.address) as client:
            with pytest.raises(DeadlinePassed):
                await client.classify(JPEG, timeout_s=0.05)
            with pytest.raises(FileNotFoundError):
                await client.classify("missing.jpg")
            with pytest.raises(ValueError, match="max_in_flight"):
                client.classify_stream([], max_in_flight=0)

    served.service.on_classify = lambda *_: served.service.released.wait()
    asyncio.run(ask())


def test_a_bad_picture_of_a_batch_leaves_its_neighbours_alone(served: Running, tmp_path: Path) -> None:
    async def ask() -> list[Classification | ItemError]:
        async with AsyncClassificationClient(served.address) as client:
            assert await client.classify_batch([]) == []
            return await client.classify_batch([JPEG, tmp_path / "missing.jpg", b"bad"])

    results = asyncio.run(ask())
    assert [type(result) for result in results] == [Classification, ItemError, ItemError]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_stream_keeps_the_order_with_bad_pictures_in_their_places(
    served: Running, tmp_path: Path, *, is_async: bool
) -> None:
    pictures: list[PictureSource | Picture] = [
        Picture(b"bad", "0"),
        Picture(JPEG, "1"),
        tmp_path / "2",
        *(Picture(JPEG, str(n)) for n in range(3, 50)),
    ]

    async def source() -> AsyncIterator[Any]:
        for picture in pictures:
            yield picture

    async def ask() -> list[Classification | ItemError]:
        async with AsyncClassificationClient(served.address) as client:
            images = source() if is_async else pictures
            return [result async for result in client.classify_stream(images, max_in_flight=4)]

    results = asyncio.run(ask())
    assert [result.image_id for result in results] == [str(number) for number in range(50)]
    assert [index for index, result in enumerate(results) if isinstance(result, ItemError)] == [0, 2]


def test_a_stream_reads_no_further_ahead_than_its_window(served: Running) -> None:
    taken: list[int] = []

    def endless() -> Iterator[Picture]:
        for number in itertools.count():
            taken.append(number)
            yield Picture(JPEG, str(number))

    async def ask() -> None:
        async with (
            AsyncClassificationClient(served.address) as client,
            aclosing(client.classify_stream(endless(), max_in_flight=3)) as results,
        ):
            given = 0
            async for _ in results:
                given += 1
                assert given <= len(taken) <= given + 3
                if given == 30:
                    break

    asyncio.run(ask())


def test_an_answer_does_not_wait_for_the_next_picture(served: Running) -> None:
    async def ask() -> list[str]:
        is_answered = asyncio.Event()

        async def camera() -> AsyncIterator[Picture]:
            yield Picture(JPEG, "first")
            await is_answered.wait()
            yield Picture(JPEG, "second")

        ids = []
        async with AsyncClassificationClient(served.address) as client:
            async for result in client.classify_stream(camera()):
                ids.append(result.image_id)
                is_answered.set()
        return ids

    assert asyncio.run(ask()) == ["first", "second"]


def test_a_stream_that_is_left_cancels_its_call(served: Running) -> None:
    is_cancelled = threading.Event()

    def watched(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[pb.ClassifyStreamResponse]:
        context.add_callback(is_cancelled.set)
        for request in requests:
            yield pb.ClassifyStreamResponse(result=result_for(request.request.image))

    async def ask() -> None:
        async with AsyncClassificationClient(served.address) as client:
            pictures = (Picture(JPEG, str(number)) for number in itertools.count())
            async with aclosing(client.classify_stream(pictures)) as results:
                async for _ in results:
                    break
            assert await asyncio.to_thread(is_cancelled.wait, 10)

    served.service.on_stream = watched
    asyncio.run(ask())


def test_what_the_pictures_raise_reaches_the_caller(served: Running) -> None:
    def broken() -> Iterator[bytes]:
        yield JPEG
        raise LookupError("the disk is gone")

    async def ask() -> None:
        async with AsyncClassificationClient(served.address) as client:
            with pytest.raises(LookupError, match="the disk is gone"):
                [_ async for _ in client.classify_stream(broken())]

    asyncio.run(ask())


def test_streams_fail_as_those_of_the_blocking_client(served: Running) -> None:
    def stalling(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[pb.ClassifyStreamResponse]:
        next(requests)
        served.service.released.wait()
        yield pb.ClassifyStreamResponse()

    async def ask(match: str, kind: type[CallFailed]) -> None:
        async with AsyncClassificationClient(served.address) as client:
            with pytest.raises(kind, match=match):
                [_ async for _ in client.classify_stream([JPEG], timeout_s=0.2)]

    served.service.on_stream = lambda *_: iter(())
    asyncio.run(ask("before all pictures were answered", CallFailed))
    served.service.on_stream = lambda _, context: context.abort(grpc.StatusCode.INTERNAL, "internal error")
    asyncio.run(ask("internal error", CallFailed))
    served.service.on_stream = stalling
    asyncio.run(ask("no answer for", DeadlinePassed))


def test_a_task_that_is_cancelled_leaves_nothing_behind(served: Running) -> None:
    is_started, is_cancelled = threading.Event(), threading.Event()

    def hanging(request: Any, context: grpc.ServicerContext) -> None:
        context.add_callback(is_cancelled.set)
        is_started.set()
        served.service.released.wait()

    async def ask() -> None:
        async with AsyncClassificationClient(served.address) as client:
            asking = asyncio.create_task(client.classify(JPEG))
            assert await asyncio.to_thread(is_started.wait, 10)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert await asyncio.to_thread(is_cancelled.wait, 10)

    served.service.on_classify = hanging
    asyncio.run(ask())


def test_a_stream_that_ends_while_it_is_written_to_tells_why(served: Running) -> None:
    """Left alone, grpc.aio would often say INTERNAL in place of the service's own status."""

    def draining(requests: Iterator[Any], context: grpc.ServicerContext) -> None:
        next(requests)
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "draining")

    async def ask() -> set[str]:
        told = set()
        async with AsyncClassificationClient(served.address) as client:
            for _ in range(20):
                try:
                    [_ async for _ in client.classify_stream([Picture(b"x" * 2**16, "big")] * 64)]
                except CallFailed as failure:
                    told.add(f"{failure.code.name}: {failure.message}")
        return told

    served.service.on_stream = draining  # type: ignore[assignment]  # it never answers
    assert asyncio.run(ask()) == {"FAILED_PRECONDITION: draining"}
