"""The client of matching for event loops; what the blocking one does too is tested in `test_matching`."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import grpc
import numpy as np
import pytest

from retinue.client.errors import CallFailed
from retinue.client.evaluation_request import EvaluationImage
from retinue.client.matching_async import AsyncMatchingClient
from retinue.client.matching_problems import PointsProblem
from retinue.client.tracking_request import TrackFrame
from tests.unit.client.scripted_matching import RunningMatching

BOX = [0.0, 0.0, 4.0, 4.0]


def picture(name: str, box_count: int = 1) -> EvaluationImage:
    boxes = [BOX] * box_count
    return EvaluationImage(boxes, [1] * box_count, boxes, [4] * box_count, [0.5] * box_count, image_id=name)


def test_every_problem_is_answered(served_matching: RunningMatching) -> None:
    async def ask() -> list[Any]:
        async with AsyncMatchingClient(served_matching.address) as client:
            labels = np.eye(3, dtype=int)
            return [
                await client.match_points([[0, 0]], [[1, 1]], 2, mode="max", request_id="r-1"),
                await client.match_boxes([BOX], [BOX], 0.25, metric="ios"),
                await client.match_instances(labels, labels),
                await client.assign([[1.0]]),
                await client.match_detr([[1.0]], [BOX], [0], [BOX]),
                *await client.match_points_batch([PointsProblem([], [], 1)] * 2),
            ]

    assert [found.pairs.b.tolist() for found in asyncio.run(ask())] == [[1, 0]] * 7
    assert served_matching.service.metadata[0]["x-request-id"] == "r-1"
    assert len(served_matching.service.requests[-1].problems) == 2


def test_pictures_may_be_asynchronous_or_not(served_matching: RunningMatching) -> None:
    async def source() -> AsyncIterator[EvaluationImage]:
        for name in "abc":
            await asyncio.sleep(0)
            yield picture(name, 20)

    async def ask() -> list[Any]:
        async with AsyncMatchingClient(served_matching.address, max_message_bytes=5000) as client:
            return [await client.evaluate(source(), return_curves=True), await client.evaluate(map(picture, "abc"))]

    first, second = asyncio.run(ask())
    assert first.image_count == second.image_count == 3
    names = [image.image_id for request in served_matching.service.requests for image in request.images]
    assert names == list("abcabc")


def test_an_endless_source_ends_with_the_refusal_of_a_picture(served_matching: RunningMatching) -> None:
    def refuse(request: Any, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "images[0]: no")

    async def ask() -> None:
        async with AsyncMatchingClient(served_matching.address) as client:
            await client.evaluate(picture(str(number), 500) for number in itertools.count())

    served_matching.service.on_pictures = refuse
    with pytest.raises(CallFailed) as raised:
        asyncio.run(ask())
    assert (raised.value.code, raised.value.message) == (grpc.StatusCode.INVALID_ARGUMENT, "images[0]: no")


def test_what_the_source_raises_is_raised(served_matching: RunningMatching) -> None:
    def broken() -> Iterator[EvaluationImage]:
        yield picture("a")
        raise KeyError("the disk is gone")

    async def ask() -> None:
        async with AsyncMatchingClient(served_matching.address) as client:
            await client.evaluate(broken())

    with pytest.raises(KeyError, match="the disk is gone"):
        asyncio.run(ask())


def test_frames_may_be_asynchronous_and_endless(served_matching: RunningMatching) -> None:
    async def source() -> AsyncIterator[TrackFrame]:
        for index in itertools.count():
            yield TrackFrame(index, [BOX], [0.5])

    async def ask() -> list[int]:
        async with (
            AsyncMatchingClient(served_matching.address) as client,
            aclosing(client.track(source(), max_in_flight=4, max_tracks=5)) as answers,
        ):
            return [(await anext(answers)).frame_index for _ in range(10)]

    assert asyncio.run(ask()) == list(range(10))
    assert served_matching.service.requests[0].options.max_tracks == 5
