"""Slides through the client for event loops against a real server."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from retinue.client.errors import CallFailed, DeadlinePassed
from retinue.client.segmentation_async import AsyncSegmentationClient
from retinue.client.slide_answer import SegmentedTile, SlideEvent, SlideInstances, SlideSummary
from retinue.client.slide_geometry import SlideGeometry
from retinue.client.slide_request import SlideTile
from retinue.segmentation.v1 import segmentation_pb2 as pb
from tests.unit.client.scripted_segmentation import RunningSegmentation

GEOMETRY = SlideGeometry(40, 30, 32, 32)
TILES: list[SlideTile] = [(0, 0, np.zeros((30, 32), np.uint8)), (32, 0, np.zeros((30, 8), np.uint8))]


async def later() -> AsyncIterator[SlideTile]:
    for tile in TILES:
        await asyncio.sleep(0)
        yield tile


def ask(address: str, tiles: Any, **keywords: Any) -> list[SlideEvent]:
    async def asked() -> list[SlideEvent]:
        async with AsyncSegmentationClient(address) as client:
            return [event async for event in client.segment_slide(tiles, GEOMETRY, **keywords)]

    return asyncio.run(asked())


@pytest.mark.parametrize("is_later", [False, True])
def test_tiles_go_out_and_everything_comes_back(served_segmentation: RunningSegmentation, *, is_later: bool) -> None:
    events = ask(served_segmentation.address, later() if is_later else TILES, image_id="s")
    assert [type(event) for event in events] == [SegmentedTile, SegmentedTile, SlideInstances, SlideSummary]
    assert served_segmentation.service.requests[0].start.image_id == "s"


def test_what_the_service_says_is_wrong_is_raised(served_segmentation: RunningSegmentation) -> None:
    def refusing(_start: Any, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        next(requests)
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "tile: x=32, y=0 is missing")
        yield

    served_segmentation.service.on_slide = refusing
    with pytest.raises(CallFailed, match="x=32, y=0 is missing"):
        ask(served_segmentation.address, TILES * 500)


def test_an_end_without_a_summary_is_a_failure(served_segmentation: RunningSegmentation) -> None:
    served_segmentation.service.on_slide = lambda *_: iter(())
    with pytest.raises(CallFailed, match="STREAM_BROKEN"):
        ask(served_segmentation.address, TILES)


def test_what_the_tiles_raise_is_raised_here(served_segmentation: RunningSegmentation) -> None:
    with pytest.raises(FileNotFoundError):
        ask(served_segmentation.address, [(0, 0, "missing.png")])


def test_a_service_without_a_sign_of_life_is_given_up(served_segmentation: RunningSegmentation) -> None:
    def silent(_start: Any, requests: Iterator[Any], _context: grpc.ServicerContext) -> Iterator[Any]:
        list(requests)
        served_segmentation.service.released.wait()
        yield pb.SegmentStreamResponse()

    served_segmentation.service.on_slide = silent
    with pytest.raises(DeadlinePassed, match=r"no answer for 0\.1 s"):
        ask(served_segmentation.address, TILES, timeout_s=0.1)


def test_leaving_early_cancels_the_call(served_segmentation: RunningSegmentation) -> None:
    is_left = threading.Event()

    def watching(_start: Any, _requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        context.add_callback(is_left.set)
        yield pb.SegmentStreamResponse(tile=pb.SegmentedTile(width=1, height=1))
        served_segmentation.service.released.wait()

    served_segmentation.service.on_slide = watching

    async def asked() -> None:
        async with AsyncSegmentationClient(served_segmentation.address) as client:
            async with contextlib.aclosing(client.segment_slide(later(), GEOMETRY)) as events:
                await anext(events)
            assert await asyncio.to_thread(is_left.wait, 30)

    asyncio.run(asked())
