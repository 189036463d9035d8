"""Streams of tiles, asked over a real channel: what comes back, and every way in which a stream can be wrong."""

import random
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from retinue.common.v1 import image_pb2
from retinue.runtime.ticket import Ticket
from retinue.segmentation.v1 import segmentation_pb2 as pb
from retinue.segmentation.v1 import segmentation_pb2_grpc
from services.segmentation.windows import Windows
from tests.unit.services.segmentation.asking import (
    Streamed,
    class_map,
    damaged_image_of,
    facts_of,
    image_of,
    mask_pixels,
    raw_image_of,
    refusal,
    request_of,
    start_of,
    stream_of,
    tile_of,
    tiles_of,
    turned_image_of,
)
from tests.unit.services.segmentation.conftest import Held
from tests.unit.services.segmentation.test_servicer import live, wait_until
from tests.unit.services.segmentation.tiny_segmenters import LABELS, PATIENCE_S, black, with_discs
from tests.unit.serving.hosted import Run
from tests.unit.serving.in_process import error_info_of, violations_of

NAN = float("nan")
DISCS, COUNT = with_discs(130, 210)
EXPECTED = np.where(DISCS[..., 0] > 128, 1, np.where(DISCS[..., 1] > 128, 2, 0))
SMALL = raw_image_of(black(64, 64))


@pytest.fixture(scope="module")
def stub(served: Run) -> segmentation_pb2_grpc.SegmentationServiceStub:
    return segmentation_pb2_grpc.SegmentationServiceStub(served.channel)


def streamed(stub: Any, messages: Iterator[pb.SegmentStreamRequest], height: int = 130, width: int = 210) -> Streamed:
    return Streamed.of(stub.SegmentStream(messages, timeout=PATIENCE_S), height, width)


# --- what comes back


def test_a_slide_is_answered_in_full(stub: Any) -> None:
    found = streamed(stub, stream_of(DISCS, image_id="slide"))
    assert found.tiles == [(x, y) for y in (0, 64, 128) for x in (0, 64, 128, 192)]
    assert_array_equal(found.codes, EXPECTED)
    assert [one.id for one in found.instances] == list(range(1, COUNT + 1))
    covered = np.zeros((130, 210), np.int64)
    for one in found.instances:
        mask = found.pixels_of(one)
        assert (EXPECTED[mask] == one.label.id).all()
        assert one.area_px == mask.sum()
        y, x = mask.nonzero()
        assert (one.box.x_min, one.box.y_min, one.box.x_max, one.box.y_max) == (
            x.min(),
            y.min(),
            x.max() + 1,
            y.max() + 1,
        )
        assert (one.centroid.x, one.centroid.y) == pytest.approx((x.mean() + 0.5, y.mean() + 0.5))
        assert 0.9 < one.score <= 1
        covered += mask
    assert_array_equal(covered, EXPECTED > 0)
    summary = found.summary
    assert (summary.image_id, summary.tile_count, summary.instance_count) == ("slide", 12, COUNT)
    assert [(one.label.id, one.label.name) for one in summary.classes] == list(enumerate(LABELS))
    assert [one.pixel_count for one in summary.classes] == np.bincount(EXPECTED.ravel()).tolist()
    of_class = [[one.area_px for one in found.instances if one.label.id == class_id] for class_id in range(3)]
    assert [one.instance_count for one in summary.classes] == [len(areas) for areas in of_class]
    assert [one.instance_area_px for one in summary.classes] == [sum(areas) for areas in of_class]
    assert (summary.model.name, summary.model.version) == ("tiny", "10")
    assert summary.timings.infer.nanos > 0
    assert summary.timings.batch_size >= 1


def test_a_slide_is_answered_as_the_picture_is(stub: Any) -> None:
    whole = stub.Segment(request_of(image_of(DISCS)))
    found = streamed(stub, stream_of(DISCS, 50, 70, order=random.Random(0).shuffle))
    assert facts_of(found.instances) == facts_of(whole.instances)
    assert_array_equal(found.codes, class_map(whole.classes, 130, 210))


@pytest.mark.parametrize("blend", list(pb.TileBlend.values()))
@pytest.mark.parametrize("form", [1, 2, 3])
def test_forms_and_blends_are_as_for_a_picture(stub: Any, blend: Any, form: Any) -> None:
    options = {"class_map_encoding": form, "instance_encoding": form, "tiling": {"blend": blend}}
    found = streamed(stub, stream_of(DISCS, **options))
    assert_array_equal(found.codes, np.full_like(EXPECTED, -1) if form == 3 else EXPECTED)
    assert [one.pixel_count for one in found.summary.classes] == np.bincount(EXPECTED.ravel()).tolist()
    assert_array_equal(sum(found.pixels_of(one).astype(np.int64) for one in found.instances), EXPECTED > 0)


@pytest.mark.parametrize(
    ("size", "tile"),
    [((1, 1), (32, 32)), ((1, 100), (32, 40)), ((100, 1), (33, 32)), ((65, 64), (64, 64)), ((97, 33), (32, 1000))],
)
def test_odd_slides_are_answered(stub: Any, size: tuple[int, int], tile: tuple[int, int]) -> None:
    pixels = black(*size)
    pixels[..., 0] = 230
    found = streamed(stub, stream_of(pixels, *tile, min_area_px=0), *size)
    assert (found.codes == 1).all()
    assert [one.area_px for one in found.instances] == ([] if size == (1, 1) else [size[0] * size[1]])


def test_tiles_come_encoded_as_well(stub: Any) -> None:
    """In any format, and with an orientation of 1."""

    def messages() -> Iterator[pb.SegmentStreamRequest]:
        yield start_of(128, 64)
        yield tile_of(0, 0, image_of(np.ascontiguousarray(DISCS[:64, :64])))
        yield tile_of(0, 64, turned_image_of(np.ascontiguousarray(DISCS[64:128, :64]), 1))

    assert_array_equal(streamed(stub, messages(), 128, 64).codes, EXPECTED[:128, :64])


def test_options_leave_instances_out_of_the_summary_too(stub: Any) -> None:
    areas = sorted(one.area_px for one in stub.Segment(request_of(image_of(DISCS))).instances)
    found = streamed(stub, stream_of(DISCS, min_area_px=areas[5]))
    kept = [area for area in areas if area >= areas[5]]
    assert sorted(one.area_px for one in found.instances) == kept
    assert found.summary.instance_count == len(kept)
    assert sum(one.instance_area_px for one in found.summary.classes) == sum(kept)
    assert streamed(stub, stream_of(DISCS, score_threshold=1.0)).instances == []


def test_masks_may_be_left_out(stub: Any) -> None:
    found = streamed(stub, stream_of(DISCS, is_instance_mask_omitted=True))
    assert len(found.instances) == COUNT
    assert not any(one.HasField("box_mask") for one in found.instances)


def test_a_semantic_slide_has_no_instances(stub: Any) -> None:
    found = streamed(stub, stream_of(DISCS, model="semantic"))
    assert_array_equal(found.codes, EXPECTED)
    assert found.instances == []
    assert found.summary.instance_count == 0
    assert found.summary.is_semantic_only
    assert not streamed(stub, stream_of(DISCS)).summary.is_semantic_only


def test_with_thresholds_a_pixel_counts_for_each_of_its_classes(stub: Any) -> None:
    grey = np.full((70, 40, 3), 255, np.uint8)  # red and green alike: a softmax of 0, -0.06 and -0.06
    grey[..., 2] = 0
    for blend in pb.TileBlend.values():
        responses = list(stub.SegmentStream(stream_of(grey, mask_threshold=0.3, tiling={"blend": blend})))
        tiles = [one.tile for one in responses if one.HasField("tile")]
        assert [[region.pixel_count for region in tile.classes] for tile in tiles] == [[64 * 40] * 3, [6 * 40] * 3]
        assert [one.pixel_count for one in responses[-1].summary.classes] == [70 * 40] * 3


def test_things_come_as_soon_as_no_later_tile_can_change_them(stub: Any) -> None:
    """And finished tiles too: before the rest of the slide is sent."""
    tall, count = with_discs(480, 80)
    can_go_on = threading.Event()

    def messages() -> Iterator[pb.SegmentStreamRequest]:
        yield start_of(480, 80, 64, 80)
        for number, tile in enumerate(tiles_of(tall, 64, 80)):
            if number == 6:
                assert can_go_on.wait(PATIENCE_S)
            yield tile

    call = stub.SegmentStream(messages(), timeout=PATIENCE_S)
    tiles, found = 0, 0
    for response in call:
        tiles += response.HasField("tile")
        found += len(response.instances.instances)
        if tiles == 3 and found >= 3:
            break
    can_go_on.set()
    found += sum(len(response.instances.instances) for response in call)
    assert found == count


def test_many_instances_come_in_messages_of_a_few_hundred(held: Held) -> None:
    pixels = black(200, 240)
    for y in range(1, 196, 6):
        for x in range(1, 236, 6):
            pixels[y : y + 4, x : x + 4, 0] = 230
    stub = segmentation_pb2_grpc.SegmentationServiceStub(held.run.channel)
    options = {"tiling": {"tile_size_px": 300}, "is_instance_mask_omitted": True}
    responses = list(stub.SegmentStream(stream_of(pixels, 200, 240, **options)))
    counts = [len(one.instances.instances) for one in responses if one.HasField("instances")]
    assert sum(counts) == 33 * 40
    assert max(counts) == 256


# --- what is wrong with a stream


def start(*size: int, **options: Any) -> pb.SegmentStreamRequest:
    return start_of(*(size or (128, 128)), **options)


BAD_STREAMS: dict[str, tuple[list[pb.SegmentStreamRequest], str, str]] = {
    "nothing": ([], "message", "first message must be start"),
    "no start": ([tile_of(0, 0, SMALL)], "message", "first message must be start"),
    "an empty message": ([pb.SegmentStreamRequest()], "message", "first message must be start"),
    "a second start": ([start(), start()], "message", "each message must be a tile"),
    "a message of nothing": ([start(), tile_of(0, 0, SMALL), pb.SegmentStreamRequest()], "message", "must be a tile"),
    "a tile twice": ([start(), tile_of(0, 0, SMALL), tile_of(0, 0, SMALL)], "tile", "x=0, y=0 was sent before"),
    "a tile of a row before": (
        [start(), tile_of(0, 0, SMALL), tile_of(64, 0, SMALL), tile_of(0, 64, SMALL), tile_of(64, 0, SMALL)],
        "tile",
        "x=64, y=0 was sent before",
    ),
    "a tile too many": ([start(64, 64), tile_of(0, 0, SMALL), tile_of(0, 0, SMALL)], "tile", "was sent before"),
    "a row too early": (
        [start(), tile_of(0, 0, SMALL), tile_of(0, 64, SMALL)],
        "tile.y",
        "tile x=64, y=0 has not come",
    ),
    "beside the grid": ([start(), tile_of(1, 0, SMALL)], "tile.x", "a multiple of 64 below 128"),
    "between rows": ([start(), tile_of(0, 63, SMALL)], "tile.y", "a multiple of 64 below 128"),
    "beyond": ([start(), tile_of(128, 0, SMALL)], "tile.x", "below 128"),
    "below": ([start(), tile_of(0, 128, SMALL)], "tile.y", "below 128"),
    "before": ([start(), tile_of(-64, 0, SMALL)], "tile.x", "is -64"),
    "above": ([start(), tile_of(0, -64, SMALL)], "tile.y", "is -64"),
    "too wide": ([start(), tile_of(0, 0, raw_image_of(black(64, 65)))], "tile.image", "65 x 64 pixels"),
    "too low": ([start(), tile_of(0, 0, raw_image_of(black(63, 64)))], "tile.image", "says 64 x 64"),
    "too large at the edge": (
        [start(100, 100), tile_of(0, 0, SMALL), tile_of(64, 0, SMALL)],
        "tile.image",
        "x=64, y=0 is 64 x 64 pixels; the geometry says 36 x 64",
    ),
    "turned": ([start(), tile_of(0, 0, turned_image_of(black(64, 64), 6))], "tile.image", "EXIF orientation of 6"),
    "upside down": ([start(), tile_of(0, 0, turned_image_of(black(64, 64), 3))], "tile.image", "EXIF orientation of 3"),
    "no picture": ([start(), tile_of(0, 0, image_pb2.Image())], "tile.image", "required"),
    "junk": ([start(), tile_of(0, 0, image_pb2.Image(encoded=b"junk"))], "tile.image.encoded", ""),
    "damaged": ([start(), tile_of(0, 0, damaged_image_of(DISCS[:64, :64]))], "tile.image.encoded", "decoded"),
    "too large": ([start(), tile_of(0, 0, raw_image_of(black(129, 128)))], "tile.image.raw", "limit"),
    "no tile": ([start()], "tile", "ended after 0 of 4 tiles; x=0, y=0 is missing"),
    "a tile missing": (
        [start(), tile_of(0, 0, SMALL), tile_of(64, 0, SMALL), tile_of(64, 64, SMALL)],
        "tile",
        "ended after 3 of 4 tiles; x=0, y=64 is missing",
    ),
    "a long name": ([start(image_id="x" * 257)], "start.image_id", "at most 256"),
    "no geometry": ([pb.SegmentStreamRequest(start=pb.SlideStart())], "start.geometry.width", "is 0"),
    "no width": ([start(64, 0)], "start.geometry.width", "1 to 1000"),
    "no height": ([start(-3, 64)], "start.geometry.height", "is -3"),
    "wider than allowed": ([start(64, 1001)], "start.geometry.width", "1 to 1000"),
    "low tiles": ([start(64, 64, 31, 64)], "start.geometry.tile_height", "at least 32"),
    "narrow tiles": ([start(64, 64, 64, 0)], "start.geometry.tile_width", "at least 32"),
    "large tiles": (
        [start(500, 500, 128, 129)],
        "start.geometry.tile_height",
        "16512 pixels, above the limit of 16384",
    ),
    "large rows": ([start(500, 1000, 65, 128)], "start.geometry.tile_height", "a row of tiles has 65000"),
    "large rows of windows": (
        [start(500, 1000, 32, 128, tiling={"tile_size_px": 65})],
        "start.options.tiling.tile_size_px",
        "a row of windows has 65000",
    ),
    "a threshold": ([start(mask_threshold=NAN)], "start.options.mask_threshold", "is nan"),
    "an area": ([start(min_area_px=-1)], "start.options.min_area_px", "is -1"),
    "a count": ([start(max_instances=41)], "start.options.max_instances", "1 to 40"),
    "a form": ([start(class_map_encoding=9)], "start.options.class_map_encoding", "9"),
    "windows": ([start(tiling={"tile_size_px": 31})], "start.options.tiling.tile_size_px", "is 31"),
    "a blend": ([start(tiling={"blend": 7})], "start.options.tiling.blend", "7"),
}


@pytest.mark.parametrize("name", BAD_STREAMS)
def test_a_stream_that_is_wrong_ends_with_a_status_that_says_how(stub: Any, name: str) -> None:
    messages, field, words = BAD_STREAMS[name]
    code, status = refusal(stub.SegmentStream, iter(messages))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    (violation,) = violations_of(status)
    assert violation[0].startswith(field)
    assert words in violation[1]


def test_an_unknown_model_is_not_found(stub: Any) -> None:
    assert refusal(stub.SegmentStream, iter([start(model="nobody")]))[0] is grpc.StatusCode.NOT_FOUND
    assert refusal(stub.SegmentStream, iter([start(model="broken")]))[0] is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("most", [1, COUNT - 1])
def test_more_instances_than_the_caller_allows_end_the_stream(stub: Any, most: int) -> None:
    code, status = refusal(stub.SegmentStream, stream_of(DISCS, max_instances=most))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    info = error_info_of(status)
    assert (info.reason, info.metadata["limit"]) == ("LIMIT_EXCEEDED", str(most))
    assert len(status.details) == 1  # nothing that says that trying again helps


def test_as_many_instances_as_the_caller_allows_are_none_too_many(stub: Any) -> None:
    assert streamed(stub, stream_of(DISCS, max_instances=COUNT)).summary.instance_count == COUNT


def test_more_instances_than_the_service_allows_end_the_stream(stub: Any) -> None:
    many, count = with_discs(400, 200)
    assert count > 40
    assert refusal(stub.SegmentStream, stream_of(many))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_tile_that_the_model_fails_on_ends_the_stream(stub: Any) -> None:
    pixels = DISCS.copy()
    pixels[100:, :, 2] = 255
    code, status = refusal(stub.SegmentStream, stream_of(pixels, model="poison"))
    assert code is grpc.StatusCode.INTERNAL
    assert error_info_of(status).reason == "INTERNAL"


# --- streams that stall, are late, or left


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "arrivals-reader"]


def assert_nothing_is_left(run: Run) -> None:
    wait_until(lambda: run.host._pool.in_flight == 0)
    wait_until(lambda: not readers())
    wait_until(lambda: live(Windows) == 0)
    wait_until(lambda: live(Ticket) <= 2)  # workers may still hold the last


class Stalling:
    """Messages, and then nothing, until the call has ended."""

    def __init__(self, *messages: pb.SegmentStreamRequest) -> None:
        self.messages = messages
        self.is_over = threading.Event()

    def __iter__(self) -> Iterator[pb.SegmentStreamRequest]:
        yield from self.messages
        assert self.is_over.wait(PATIENCE_S)


@pytest.mark.parametrize("messages", [[], [start()], [start(), tile_of(0, 0, SMALL)]])
def test_a_stream_that_stalls_is_not_waited_for(impatient: Run, messages: list[pb.SegmentStreamRequest]) -> None:
    stub = segmentation_pb2_grpc.SegmentationServiceStub(impatient.channel)
    stalling = Stalling(*messages)
    code, status = refusal(stub.SegmentStream, iter(stalling))
    stalling.is_over.set()
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "no message came for 0.05 s" in status.message
    assert_nothing_is_left(impatient)


def test_a_deadline_that_passes_between_tiles_is_told(served: Run, stub: Any) -> None:
    stalling = Stalling(start(), tile_of(0, 0, SMALL))
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.SegmentStream(iter(stalling), timeout=0.2))
    stalling.is_over.set()
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert_nothing_is_left(served)


def test_a_deadline_that_passes_while_a_window_is_looked_at_is_told(held: Held) -> None:
    stub = segmentation_pb2_grpc.SegmentationServiceStub(held.run.channel)
    with held.shut():
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.SegmentStream(stream_of(DISCS), timeout=0.2))
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert_nothing_is_left(held.run)


def test_a_caller_who_leaves_while_a_window_is_looked_at_leaves_nothing_behind(held: Held) -> None:
    stub = segmentation_pb2_grpc.SegmentationServiceStub(held.run.channel)
    with held.shut():
        call = stub.SegmentStream(stream_of(DISCS))
        assert held.pipeline.is_decoding.wait(PATIENCE_S)
        call.cancel()
        wait_until(lambda: held.run.host._pool.in_flight == 0)
        wait_until(lambda: not readers())
    wait_until(lambda: held.engine.queue_length == 0)
    assert_nothing_is_left(held.run)
    assert streamed(stub, stream_of(DISCS)).summary.instance_count == COUNT


def codes_of(run: Run) -> dict[str, float]:
    labels = {"grpc_method": "SegmentStream"}
    return {
        sample.labels["grpc_code"]: sample.value
        for family in run.host.metrics.handled.collect()
        for sample in family.samples
        if sample.labels.items() >= labels.items() and sample.name.endswith("_total") and sample.value
    }


def test_callers_who_leave_between_tiles_are_no_fault_and_no_success(served: Run, stub: Any) -> None:
    """Now and then gRPC tells the end of their messages before it tells that they have left: then a tile is missing."""
    before = codes_of(served)
    for _ in range(5):
        stalling = Stalling(start(), tile_of(0, 0, SMALL))
        call = stub.SegmentStream(iter(stalling))
        wait_until(readers)
        call.cancel()
        stalling.is_over.set()
        assert_nothing_is_left(served)
    after = codes_of(served)
    changes = {code: after[code] - before.get(code, 0) for code in after}
    assert changes.get("CANCELLED", 0) + changes.get("INVALID_ARGUMENT", 0) == sum(changes.values()) == 5


def test_a_stream_that_ends_with_an_error_leaves_no_reader(served: Run, stub: Any) -> None:
    stalling = Stalling(start(), tile_of(1, 1, SMALL), tile_of(0, 0, SMALL), tile_of(64, 0, SMALL))
    assert refusal(stub.SegmentStream, iter(stalling))[0] is grpc.StatusCode.INVALID_ARGUMENT
    stalling.is_over.set()
    assert_nothing_is_left(served)


def test_masks_of_a_slide_cover_their_boxes(stub: Any) -> None:
    for one in streamed(stub, stream_of(DISCS)).instances:
        height, width = int(one.box.y_max - one.box.y_min), int(one.box.x_max - one.box.x_min)
        mask = mask_pixels(one.box_mask, height, width)
        assert mask.any(axis=0).all()
        assert mask.any(axis=1).all()
