"""Slides through the blocking client against a real server."""

import itertools
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from retinue.client.errors import CallFailed, DeadlinePassed
from retinue.client.segmentation import SegmentationClient
from retinue.client.segmentation_request import SegmentKeywords
from retinue.client.slide_answer import SegmentedTile, SlideEvent, SlideInstances, SlideSummary
from retinue.client.slide_geometry import SlideGeometry
from retinue.client.slide_request import SlideTile, plan_slide
from retinue.client.slide_stream import READ_AHEAD, stream_slide
from retinue.segmentation.v1 import segmentation_pb2 as pb
from tests.unit.client.scripted_segmentation import RunningSegmentation, things

GEOMETRY = SlideGeometry(40, 30, 32, 32)


def tiles(count: int = 2) -> Iterator[SlideTile]:
    for number in range(count):
        yield 32 * (number % 2), 0, np.zeros((30, 32 if number % 2 == 0 else 8), np.uint8)


def test_tiles_go_out_and_everything_comes_back(
    segmenter: SegmentationClient, served_segmentation: RunningSegmentation
) -> None:
    events = list(segmenter.segment_slide(tiles(), GEOMETRY, image_id="s", model="rounds", request_id="r-1"))
    assert [type(event) for event in events] == [SegmentedTile, SegmentedTile, SlideInstances, SlideSummary]
    start, *sent = served_segmentation.service.requests
    assert (start.start.image_id, start.start.model.name) == ("s", "rounds")
    assert [(one.tile.x, one.tile.y, one.tile.image.raw.width) for one in sent] == [(0, 0, 32), (32, 0, 8)]
    assert served_segmentation.service.metadata[0]["x-request-id"] == "r-1"
    label_map = np.zeros((30, 40), np.int32)
    for event in events:
        for one in event.instances if isinstance(event, SlideInstances) else ():
            x_min, y_min, x_max, y_max = one.box
            label_map[y_min:y_max, x_min:x_max][one.box_mask()] = one.number
    np.testing.assert_array_equal(label_map, things())


def test_what_the_service_says_is_wrong_is_raised(
    segmenter: SegmentationClient, served_segmentation: RunningSegmentation
) -> None:
    def refusing(_start: Any, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        next(requests)
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "tile: x=32, y=0 is missing")
        yield

    served_segmentation.service.on_slide = refusing
    with pytest.raises(CallFailed, match="x=32, y=0 is missing"):
        list(segmenter.segment_slide(tiles(1000), GEOMETRY))


def test_an_end_without_a_summary_is_a_failure(
    segmenter: SegmentationClient, served_segmentation: RunningSegmentation
) -> None:
    served_segmentation.service.on_slide = lambda *_: iter(())
    with pytest.raises(CallFailed, match="STREAM_BROKEN"):
        list(segmenter.segment_slide(tiles(), GEOMETRY))


def test_what_the_tiles_raise_is_raised_here(segmenter: SegmentationClient) -> None:
    def broken() -> Iterator[SlideTile]:
        yield from tiles(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(segmenter.segment_slide(broken(), GEOMETRY))


@pytest.mark.parametrize(
    ("source", "error"), [(Path("missing.png"), FileNotFoundError), (np.zeros((2, 2)), ValueError), (7, TypeError)]
)
def test_a_tile_that_is_no_picture_ends_the_slide(
    segmenter: SegmentationClient, source: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        list(segmenter.segment_slide([(0, 0, source)], GEOMETRY))


def test_a_service_without_a_sign_of_life_is_given_up(
    segmenter: SegmentationClient, served_segmentation: RunningSegmentation
) -> None:
    def silent(_start: Any, requests: Iterator[Any], _context: grpc.ServicerContext) -> Iterator[Any]:
        list(requests)
        served_segmentation.service.released.wait()
        yield pb.SegmentStreamResponse()

    served_segmentation.service.on_slide = silent
    with pytest.raises(DeadlinePassed, match=r"no answer for 0\.1 s"):
        list(segmenter.segment_slide(tiles(), GEOMETRY, timeout_s=0.1))


def test_slow_tiles_are_waited_for(segmenter: SegmentationClient, served_segmentation: RunningSegmentation) -> None:
    """As from a disk that sleeps: the service's patience is another matter."""
    is_waited_for = threading.Event()
    is_ready = threading.Timer(0.3, is_waited_for.set)

    def slow() -> Iterator[SlideTile]:
        is_ready.start()
        is_waited_for.wait()
        yield from tiles()

    assert isinstance(list(segmenter.segment_slide(slow(), GEOMETRY, timeout_s=0.1))[-1], SlideSummary)


class Responses:
    """Answers as gRPC gives them, without a limit on how many wait for the caller."""

    def __init__(self, answers: Iterator[pb.SegmentStreamResponse]) -> None:
        self._answers = answers

    def __iter__(self) -> Iterator[pb.SegmentStreamResponse]:
        return self._answers

    def cancel(self) -> None:
        pass


def stream(answers: Iterator[pb.SegmentStreamResponse], count: int, timeout_s: float) -> Generator[SlideEvent]:
    """Send so many tiles to a service that takes them at once and answers like this."""

    def method(requests: Iterator[Any], **_: Any) -> Responses:
        assert len(list(requests)) == 1 + count
        return Responses(answers)

    plan = plan_slide(10.0, 2**20, GEOMETRY, "", SegmentKeywords(timeout_s=timeout_s))
    return stream_slide(method, tiles(count), plan, stream_timeout_s=60.0)


def test_answers_are_read_no_faster_than_the_caller_takes_them() -> None:
    """Otherwise the answers to a large slide would fill the memory of a slow caller."""
    is_too_much = threading.Event()

    def endless() -> Iterator[pb.SegmentStreamResponse]:
        for number in itertools.count(1):
            if number > READ_AHEAD + 2:  # one has been taken, one is under way
                is_too_much.set()
            yield pb.SegmentStreamResponse(tile=pb.SegmentedTile(width=1, height=1))

    events = stream(endless(), 200, 10.0)
    next(events)
    assert not is_too_much.wait(0.2)
    for _ in range(100):
        next(events)
    assert is_too_much.is_set(), "and as fast as that"
    events.close()


def test_a_caller_that_takes_its_time_is_not_the_service_being_late() -> None:
    is_asked_again = threading.Event()

    def held_up() -> Iterator[pb.SegmentStreamResponse]:
        yield pb.SegmentStreamResponse(tile=pb.SegmentedTile(width=1, height=1))
        is_asked_again.wait()
        yield pb.SegmentStreamResponse(tile=pb.SegmentedTile(width=2, height=2))

    events = stream(held_up(), 1, 1.0)
    next(events)
    threading.Event().wait(1.2)  # the caller's own work
    threading.Timer(0.05, is_asked_again.set).start()
    found = next(events)
    assert isinstance(found, SegmentedTile)
    assert found.width == 2
    events.close()


def test_leaving_early_cancels_the_call(
    segmenter: SegmentationClient, served_segmentation: RunningSegmentation
) -> None:
    is_left = threading.Event()

    def watching(start: Any, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        context.add_callback(is_left.set)
        yield pb.SegmentStreamResponse(tile=pb.SegmentedTile(width=1, height=1))
        served_segmentation.service.released.wait()

    served_segmentation.service.on_slide = watching
    events = segmenter.segment_slide(tiles(), GEOMETRY)
    next(events)
    events.close()
    assert is_left.wait(30)
