"""The edge of the segmentation service, asked over a real channel: single pictures and batches."""

import gc
import threading
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from structlog.testing import capture_logs

from retinue.common.v1 import geometry_pb2, image_pb2
from retinue.runtime.deferred import Deferred
from retinue.runtime.ticket import Ticket
from retinue.segmentation.v1 import segmentation_pb2 as pb
from retinue.segmentation.v1 import segmentation_pb2_grpc
from services.segmentation.tiled import TiledPicture
from tests.unit.services.segmentation.asking import (
    batch_of,
    class_map,
    damaged_image_of,
    facts_of,
    image_of,
    mask_pixels,
    png_pixels,
    raw_image_of,
    refusal,
    request_of,
    rle_pixels,
    turned_image_of,
)
from tests.unit.services.segmentation.conftest import Held
from tests.unit.services.segmentation.tiny_segmenters import LABELS, PATIENCE_S, black, with_discs
from tests.unit.serving.hosted import Run
from tests.unit.serving.in_process import error_info_of, violations_of

NAN, INF = float("nan"), float("inf")
TILED = {"tile_size_px": 64, "overlap_px": 20}
DISCS, COUNT = with_discs(130, 210)


@pytest.fixture(scope="module")
def stub(served: Run) -> segmentation_pb2_grpc.SegmentationServiceStub:
    return segmentation_pb2_grpc.SegmentationServiceStub(served.channel)


@pytest.fixture(scope="module")
def held_stub(held: Held) -> segmentation_pb2_grpc.SegmentationServiceStub:
    return segmentation_pb2_grpc.SegmentationServiceStub(held.run.channel)


def white_blue(height: int = 20, width: int = 30) -> Any:
    """Return a picture that `poison` answers NaN for."""
    pixels = black(height, width)
    pixels[..., 2] = 255
    return pixels


# --- one picture


def test_a_picture_is_answered_in_full(stub: Any) -> None:
    response = stub.Segment(request_of(image_of(DISCS, image_id="a")))
    assert response.image_id == "a"
    assert [(one.label.id, one.label.name) for one in response.classes] == list(enumerate(LABELS))
    expected = np.where(DISCS[..., 0] > 128, 1, np.where(DISCS[..., 1] > 128, 2, 0))
    assert_array_equal(class_map(response.classes, 130, 210), expected)
    assert response.class_map_png == b""
    assert len(response.instances) == COUNT
    scores = [one.score for one in response.instances]
    assert scores == sorted(scores, reverse=True)
    covered = np.zeros((130, 210), np.int64)
    for one in response.instances:
        mask = mask_pixels(one.mask, 130, 210)
        assert (expected[mask] == one.label.id).all()
        assert one.label.name == LABELS[one.label.id]
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
    assert_array_equal(covered, expected > 0)
    assert (response.model.name, response.model.version) == ("tiny", "10")
    assert (response.image_info.height, response.image_info.width) == (130, 210)
    assert response.image_info.format == image_pb2.IMAGE_FORMAT_PNG
    assert response.timings.batch_size == 1
    assert response.timings.infer.nanos > 0


def test_equal_scores_come_from_top_to_bottom(stub: Any) -> None:
    pixels = black(40, 60)
    corners = [(30, 2), (2, 20), (2, 40), (16, 30)]
    for y, x in corners:
        pixels[y : y + 5, x : x + 5, 0] = 230
    for options in ({}, {"tiling": TILED}):
        response = stub.Segment(request_of(image_of(pixels), **options))
        assert [(one.box.y_min, one.box.x_min) for one in response.instances] == sorted(corners)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (33, 65), (5, 3)])
@pytest.mark.parametrize("options", [{}, {"tiling": {"tile_size_px": 32, "overlap_px": 8}}])
def test_odd_sizes_are_answered(stub: Any, size: tuple[int, int], options: dict[str, Any]) -> None:
    pixels = black(*size)
    pixels[..., 1] = 230
    response = stub.Segment(request_of(image_of(pixels), min_area_px=0, **options))
    assert [one.pixel_count for one in response.classes] == [0, 0, size[0] * size[1]]
    if size[0] * size[1] >= 4:  # the least seed
        assert [one.area_px for one in response.instances] == [size[0] * size[1]]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("options", [{}, {"tiling": TILED}])
@pytest.mark.parametrize("form", [1, 2, 3])
def test_everything_is_in_the_frame_of_the_upright_picture(
    stub: Any, orientation: int, options: dict[str, Any], form: Any
) -> None:
    image = turned_image_of(DISCS, orientation)
    response = stub.Segment(request_of(image, instance_encoding=form, **options))
    upright = stub.Segment(request_of(image_of(DISCS), **options))
    assert (response.image_info.height, response.image_info.width) == (130, 210)
    assert response.classes == upright.classes
    assert facts_of(response.instances) == facts_of(upright.instances)
    for one, other in zip(response.instances, upright.instances, strict=True):
        assert_array_equal(mask_pixels(one.mask, 130, 210), mask_pixels(other.mask, 130, 210))


@pytest.mark.parametrize("options", [{}, {"tiling": TILED}])
def test_the_class_map_has_the_form_that_is_asked_for(stub: Any, options: dict[str, Any]) -> None:
    rle, png, none = (
        stub.Segment(request_of(image_of(DISCS), class_map_encoding=form, **options)) for form in (1, 2, 3)
    )
    assert_array_equal(png_pixels(png.class_map_png), class_map(rle.classes, 130, 210))
    assert none.class_map_png == b""
    for other in (png, none):
        assert not any(region.HasField("mask") for region in other.classes)
        assert [one.pixel_count for one in other.classes] == [one.pixel_count for one in rle.classes]


@pytest.mark.parametrize("options", [{}, {"tiling": TILED}, {"tiling": TILED | {"blend": pb.TILE_BLEND_MEAN}}])
def test_thresholds_let_a_pixel_be_of_several_classes_or_none(stub: Any, options: dict[str, Any]) -> None:
    grey = black(40, 40)
    grey[:20, :, :2] = 255  # red and green alike: a softmax of 0, -0.06 and -0.06
    request = request_of(image_of(grey), mask_threshold=0.3, **options)
    response = stub.Segment(request)
    masks = [rle_pixels(one.mask, 40, 40) for one in response.classes]
    assert [int(mask[:20].sum()) for mask in masks] == [800, 800, 800]
    assert [int(mask[20:].sum()) for mask in masks] == [800, 0, 0]
    request.options.class_map_encoding = pb.CLASS_MAP_ENCODING_PNG
    request.options.class_thresholds.add(class_name="background", threshold=1.0)
    request.options.class_thresholds.add(class_name="green", threshold=0.9)
    response = stub.Segment(request)
    assert [one.pixel_count for one in response.classes] == [0, 800, 0]
    assert_array_equal(png_pixels(response.class_map_png), np.repeat([1, 255], 20)[:, None].repeat(40, 1))


@pytest.mark.parametrize("options", [{}, {"tiling": TILED}])
def test_options_leave_instances_out(stub: Any, options: dict[str, Any]) -> None:
    def ask(**more: Any) -> list[int]:
        return [one.area_px for one in stub.Segment(request_of(image_of(DISCS), **options, **more)).instances]

    everything = ask()
    assert len(everything) == COUNT
    middle = sorted(everything)[COUNT // 2]
    assert sorted(ask(min_area_px=middle)) == sorted(area for area in everything if area >= middle)
    assert ask(max_instances=3) == everything[:3]
    assert ask(score_threshold=1.0) == []
    assert len(ask(score_threshold=0.5)) == COUNT


def test_masks_may_be_left_out(stub: Any) -> None:
    for options in ({}, {"tiling": TILED}):
        response = stub.Segment(request_of(image_of(DISCS), is_instance_mask_omitted=True, **options))
        assert len(response.instances) == COUNT
        assert not any(one.HasField("mask") for one in response.instances)


def test_a_semantic_model_answers_without_instances(stub: Any) -> None:
    for options in ({}, {"tiling": TILED}):
        response = stub.Segment(request_of(image_of(DISCS), model="semantic", **options))
        assert list(response.instances) == []
        assert sum(one.pixel_count for one in response.classes) == 130 * 210


# --- through windows


@pytest.mark.parametrize("blend", list(pb.TileBlend.values()))
def test_through_windows_a_picture_is_as_at_once(stub: Any, blend: Any) -> None:
    whole = stub.Segment(request_of(image_of(DISCS)))
    tiled = stub.Segment(request_of(image_of(DISCS), tiling=TILED | {"blend": blend}))
    assert tiled.classes == whole.classes
    assert facts_of(tiled.instances) == facts_of(whole.instances)
    masks = {one.mask.rle.counts for one in whole.instances}
    assert {one.mask.rle.counts for one in tiled.instances} == masks
    assert tiled.timings.batch_size >= 1
    assert tiled.timings.infer.nanos > 0
    assert tiled.image_info == whole.image_info


def test_tiles_have_defaults_of_the_manifest(stub: Any) -> None:
    response = stub.Segment(request_of(image_of(DISCS), tiling={}))
    assert len(response.instances) == COUNT


# --- what cannot be asked


@pytest.mark.parametrize("method", ["Segment", "BatchSegment"])
@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"mask_threshold": NAN}, "mask_threshold"),
        ({"mask_threshold": -0.1}, "mask_threshold"),
        ({"mask_threshold": INF}, "mask_threshold"),
        ({"score_threshold": 1.1}, "score_threshold"),
        ({"score_threshold": NAN}, "score_threshold"),
        ({"class_thresholds": [pb.ClassThreshold(class_name="blue", threshold=0.5)]}, "class_thresholds[0].class_name"),
        ({"class_thresholds": [pb.ClassThreshold(class_name="red", threshold=NAN)]}, "class_thresholds[0].threshold"),
        ({"class_thresholds": [pb.ClassThreshold(class_name="red")]}, "class_thresholds[0].threshold"),
        (
            {"class_thresholds": [pb.ClassThreshold(class_name="red", threshold=0.5)] * 2},
            "class_thresholds[1].class_name",
        ),
        ({"min_area_px": -1}, "min_area_px"),
        ({"max_instances": 0}, "max_instances"),
        ({"max_instances": -(2**31)}, "max_instances"),
        ({"max_instances": 41}, "max_instances"),
        ({"class_map_encoding": 4}, "class_map_encoding"),
        ({"class_map_encoding": -1}, "class_map_encoding"),
        ({"instance_encoding": 4}, "instance_encoding"),
        ({"tiling": {"tile_size_px": 0}}, "tiling.tile_size_px"),
        ({"tiling": {"tile_size_px": 31}}, "tiling.tile_size_px"),
        ({"tiling": {"tile_size_px": 100_000}}, "tiling.tile_size_px"),
        ({"tiling": {"tile_size_px": 64, "overlap_px": 33}}, "tiling.overlap_px"),
        ({"tiling": {"overlap_px": -1}}, "tiling.overlap_px"),
        ({"tiling": {"blend": 4}}, "tiling.blend"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(stub: Any, method: str, options: dict[str, Any], field: str) -> None:
    image = image_of(black(4, 4))
    request = request_of(image, **options) if method == "Segment" else batch_of(image, **options)
    code, status = refusal(getattr(stub, method), request)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert [one for one, _ in violations_of(status)] == [f"options.{field}"]
    assert error_info_of(status).reason == "INVALID_INPUT"


@pytest.mark.parametrize(
    ("image", "field", "reason"),
    [
        (image_pb2.Image(), "image", "INVALID_INPUT"),
        (image_pb2.Image(encoded=b"junk"), "image.encoded", "INVALID_IMAGE"),
        (damaged_image_of(DISCS), "image.encoded", "INVALID_IMAGE"),
        (raw_image_of(black(400, 400)), "image.raw.pixels", "IMAGE_TOO_LARGE"),
        (image_pb2.Image(raw=image_pb2.RawImage(height=3, width=3, pixels=b"12")), "image.raw.pixels", "INVALID_IMAGE"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"tiling": TILED}])
def test_a_picture_that_cannot_be_used_is_named(
    stub: Any, image: image_pb2.Image, field: str, reason: str, options: dict[str, Any]
) -> None:
    code, status = refusal(stub.Segment, request_of(image, **options))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info_of(status).reason == reason
    assert violations_of(status)[0][0].startswith(field.rsplit(".", 1)[0])


def test_a_request_may_name_its_model(stub: Any) -> None:
    response = stub.Segment(request_of(image_of(DISCS), model="tiny", version="9"))
    assert (response.model.name, response.model.version) == ("tiny", "9")


@pytest.mark.parametrize(
    ("model", "code"), [("nobody", grpc.StatusCode.NOT_FOUND), ("broken", grpc.StatusCode.UNAVAILABLE)]
)
def test_a_model_that_is_not_there_is_told(stub: Any, model: str, code: grpc.StatusCode) -> None:
    assert refusal(stub.Segment, request_of(image_of(DISCS), model=model))[0] is code


@pytest.mark.parametrize("options", [{}, {"tiling": TILED}, {"tiling": TILED | {"blend": pb.TILE_BLEND_MEAN}}])
def test_maps_that_are_not_finite_are_told_as_internal_and_logged(stub: Any, options: dict[str, Any]) -> None:
    with capture_logs() as logs:
        code, status = refusal(stub.Segment, request_of(image_of(white_blue()), model="poison", **options))
    assert code is grpc.StatusCode.INTERNAL
    assert error_info_of(status).reason == "INTERNAL"
    (failed,) = [line for line in logs if line["event"] == "rpc_failed"]
    assert "not finite" in repr(failed["exc_info"])
    assert stub.Segment(request_of(image_of(DISCS), model="poison", **options)).instances  # and the model goes on


# --- batches


@pytest.mark.parametrize("options", [{}, {"tiling": TILED}])
def test_a_bad_picture_does_not_fail_its_neighbours(stub: Any, options: dict[str, Any]) -> None:
    images = [
        image_of(DISCS),
        image_pb2.Image(id="empty"),
        damaged_image_of(DISCS),
        image_of(black(9, 5)),
        image_pb2.Image(encoded=b"x"),
    ]
    response = stub.BatchSegment(batch_of(*images, **options))
    kinds = [one.WhichOneof("result") for one in response.results]
    assert kinds == ["response", "error", "error", "response", "error"]
    assert response.results[1].image_id == "empty"
    assert {one.error.code for one in response.results if one.HasField("error")} == {3}
    assert "images[1]" in response.results[1].error.message
    alone = stub.Segment(request_of(image_of(DISCS), **options))
    first = response.results[0].response
    assert (first.classes, first.instances) == (alone.classes, alone.instances)


@pytest.mark.parametrize("options", [{}, {"tiling": TILED}])
def test_a_picture_that_the_model_fails_on_does_not_fail_its_neighbours(stub: Any, options: dict[str, Any]) -> None:
    images = [image_of(pixels) for pixels in (black(20, 30), white_blue(), black(20, 30))]
    results = stub.BatchSegment(batch_of(*images, model="poison", **options)).results
    assert [one.WhichOneof("result") for one in results] == ["response", "error", "response"]
    assert results[1].error.code == grpc.StatusCode.INTERNAL.value[0]


def test_a_batch_of_mixed_sizes_answers_as_each_alone(stub: Any) -> None:
    pictures = [with_discs(*size, seed)[0] for seed, size in enumerate([(60, 90), (130, 50), (60, 90), (41, 41)])]
    results = stub.BatchSegment(batch_of(*[image_of(one, image_id=str(i)) for i, one in enumerate(pictures)])).results
    for index, (result, pixels) in enumerate(zip(results, pictures, strict=True)):
        alone = stub.Segment(request_of(image_of(pixels)))
        assert result.image_id == result.response.image_id == str(index)
        assert (result.response.classes, result.response.instances) == (alone.classes, alone.instances)


@pytest.mark.parametrize("count", [0, 6])
def test_a_batch_of_none_or_too_many_is_refused(stub: Any, count: int) -> None:
    code, status = refusal(stub.BatchSegment, batch_of(*[image_of(black(2, 2))] * count))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert violations_of(status)[0][0] == "images"


# --- deadlines and callers who leave


def wait_until(is_so: Any) -> None:
    end = threading.Event()
    for _ in range(int(PATIENCE_S / 0.01)):
        if is_so():
            return
        end.wait(0.01)
    assert is_so()


def live(kind: type) -> int:
    gc.collect()
    return sum(type(one) is kind for one in gc.get_objects())


def assert_nothing_is_left(held: Held, held_stub: Any) -> None:
    """The one slot is free, no handler is busy, and no ticket or picture is left."""
    response = held_stub.Segment(request_of(image_of(DISCS), tiling=TILED), timeout=PATIENCE_S)
    assert len(response.instances) == COUNT
    wait_until(lambda: held.run.host._pool.in_flight == 0)
    wait_until(lambda: held.engine.queue_length == 0)
    wait_until(lambda: live(TiledPicture) == live(Deferred) == 0)
    wait_until(lambda: live(Ticket) <= 1)  # the worker may still hold the last


def test_windows_wait_for_places_in_a_small_queue(held_stub: Any) -> None:
    """Of which there are two, while more windows could be under way."""
    response = held_stub.Segment(request_of(image_of(DISCS), tiling={"tile_size_px": 32, "overlap_px": 4}))
    assert sum(one.pixel_count for one in response.classes) == 130 * 210


@pytest.mark.parametrize("options", [{}, {"tiling": TILED}])
@pytest.mark.parametrize("method", ["Segment", "BatchSegment"])
def test_a_deadline_that_passes_is_told(held: Held, held_stub: Any, method: str, options: dict[str, Any]) -> None:
    image = image_of(DISCS)
    request = request_of(image, **options) if method == "Segment" else batch_of(image, **options)
    with held.shut():
        with pytest.raises(grpc.RpcError) as caught:
            getattr(held_stub, method)(request, timeout=0.2)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert_nothing_is_left(held, held_stub)


@pytest.mark.parametrize("options", [{}, {"tiling": TILED}])
def test_a_caller_who_leaves_leaves_nothing_behind(held: Held, held_stub: Any, options: dict[str, Any]) -> None:
    with held.shut():
        call = held_stub.Segment.future(request_of(image_of(DISCS), **options))
        assert held.pipeline.is_decoding.wait(PATIENCE_S)
        call.cancel()
        wait_until(lambda: held.run.host._pool.in_flight == 0)
    assert_nothing_is_left(held, held_stub)


def test_a_caller_who_leaves_before_a_slot_is_free_holds_no_thread(held: Held, held_stub: Any) -> None:
    """One picture at a time is looked at through windows; the others wait, as long as their callers do."""
    with held.shut():
        first = held_stub.Segment.future(request_of(image_of(DISCS), tiling=TILED))
        assert held.pipeline.is_decoding.wait(PATIENCE_S)
        others = [held_stub.Segment.future(request_of(image_of(DISCS), tiling=TILED)) for _ in range(3)]
        wait_until(lambda: held.run.host._pool.in_flight == 4)
        for call in others:
            call.cancel()
        wait_until(lambda: held.run.host._pool.in_flight == 1)
    assert len(first.result(PATIENCE_S).instances) == COUNT
    assert_nothing_is_left(held, held_stub)


# --- what is said of a call


def test_the_log_line_says_which_model_answered_and_how_long_it_waited(stub: Any) -> None:
    for options in ({}, {"tiling": TILED}):
        with capture_logs() as logs:
            stub.Segment(request_of(image_of(DISCS), **options))
        (line,) = [one for one in logs if one["event"] == "rpc_ended"]
        assert line["model"] == "tiny@10"
        assert line["batch_size"] >= 1
        assert line["queue_s"] >= 0


def test_the_log_line_of_a_batch_counts_items(stub: Any) -> None:
    with capture_logs() as logs:
        stub.BatchSegment(batch_of(image_of(DISCS), image_pb2.Image()))
    (line,) = [one for one in logs if one["event"] == "rpc_ended"]
    assert (line["code"], line["item_count"], line["failed_items"]) == ("OK", 2, 1)


def test_every_encoding_of_masks_is_tested_here() -> None:
    assert list(geometry_pb2.MaskEncoding.values()) == [0, 1, 2, 3]
