"""The edge of the detection service, asked over a real channel."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from google.rpc.status_pb2 import Status
from structlog.testing import capture_logs

from retinue.common.v1 import image_pb2, model_pb2
from retinue.detection.v1 import detection_pb2 as pb
from retinue.detection.v1 import detection_pb2_grpc
from retinue.runtime.ticket import Ticket
from services.detection.tiling import TiledPicture
from services.detection.views import SharedPicture
from tests.unit.services.detection.conftest import Held
from tests.unit.services.detection.tiny_detectors import plain
from tests.unit.serving.hosted import Run
from tests.unit.serving.in_process import PATIENCE_S, error_info_of, retry_delay_s, status_of, violations_of

Options = pb.DetectionOptions
Tiling = pb.DetectionTiling
NAN, INF = float("nan"), float("inf")
TILED = Tiling(tile_size_px=64, overlap_px=12)


@pytest.fixture(scope="module")
def stub(served: Run) -> detection_pb2_grpc.DetectionServiceStub:
    return detection_pb2_grpc.DetectionServiceStub(served.channel)


@pytest.fixture(scope="module")
def held_stub(held: Held) -> detection_pb2_grpc.DetectionServiceStub:
    return detection_pb2_grpc.DetectionServiceStub(held.run.channel)


def image_of(pixels: Any = None, *, image_id: str = "") -> image_pb2.Image:
    """Return a PNG."""
    pixels = plain() if pixels is None else pixels
    return image_pb2.Image(encoded=cv2.imencode(".png", pixels[..., ::-1])[1].tobytes(), id=image_id)


def squares_at(*corners: tuple[int, int], height: int = 64, width: int = 64, image_id: str = "") -> image_pb2.Image:
    """Return a picture with a bright square of 6 x 6 pixels at each corner x, y."""
    pixels = plain(0, height, width)
    for x, y in corners:
        pixels[y : y + 6, x : x + 6] = 255
    return image_of(pixels, image_id=image_id)


def request_of(image: Any = None, model: Any = "", version: Any = "", **options: Any) -> Any:
    return pb.DetectRequest(
        image=image_of() if image is None else image,
        model=model_pb2.ModelRef(name=model, version=version),
        options=Options(**options),
    )


def batch_of(*images: Any, model: Any = "", version: Any = "", **options: Any) -> Any:
    return pb.BatchDetectRequest(
        images=images, model=model_pb2.ModelRef(name=model, version=version), options=Options(**options)
    )


def ask_stream(stub: Any, *requests: pb.DetectRequest) -> list[pb.DetectResult]:
    messages = [pb.DetectStreamRequest(request=request) for request in requests]
    return [response.result for response in stub.DetectStream(iter(messages), timeout=PATIENCE_S)]


def refusal(call: Any, request: Any, timeout: float = PATIENCE_S) -> tuple[grpc.StatusCode, Status]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=timeout)
    return caught.value.code(), status_of(caught.value)


def boxes_of(response: pb.DetectResponse) -> list[list[float]]:
    return [[one.box.x_min, one.box.y_min, one.box.x_max, one.box.y_max] for one in response.detections]


def corners_of(response: pb.DetectResponse) -> list[tuple[float, float]]:
    return sorted((one.box.x_min, one.box.y_min) for one in response.detections)


def damaged() -> bytes:
    """Return a PNG whose header is whole and whose pixels are not."""
    data = image_of().encoded
    return data[:45] + bytes(len(data) - 61) + data[-16:]


# --- one picture


def test_a_picture_is_answered_in_full(stub: Any) -> None:
    response = stub.Detect(request_of(image_of(image_id="a"), model="table"))
    assert response.image_id == "a"
    assert boxes_of(response) == [[20, 12, 44, 20], [20, 13, 44, 21], [20, 44, 44, 52]]
    assert [(one.label.id, one.label.name) for one in response.detections] == [(0, "ring"), (1, "disc"), (1, "disc")]
    assert [one.score for one in response.detections] == pytest.approx([0.9, 0.8, 0.6])
    assert not any(one.HasField("mask") for one in response.detections)
    assert (response.model.name, response.model.version) == ("table", "10")
    assert (response.image_info.width, response.image_info.height) == (64, 64)
    assert response.image_info.format == image_pb2.IMAGE_FORMAT_PNG
    assert response.timings.batch_size == 1
    assert response.timings.infer.nanos > 0


def test_a_picture_with_nothing_on_it_is_answered(stub: Any) -> None:
    response = stub.Detect(request_of(squares_at()))
    assert list(response.detections) == []
    assert response.model.name == "squares"


@pytest.mark.parametrize(
    ("options", "scores"),
    [
        ({}, [0.9, 0.8, 0.6]),
        ({"score_threshold": 0.7}, [0.9, 0.8]),
        ({"score_threshold": 1.0}, []),
        ({"score_threshold": 0.0}, [0.9, 0.8, 0.6]),
        ({"class_ids": [1]}, [0.8, 0.6]),
        ({"class_names": ["ring"]}, [0.9]),
        ({"class_names": ["ring"], "class_ids": [1]}, [0.9, 0.8, 0.6]),
        ({"max_detections": 1}, [0.9]),
        ({"max_detections": 2**31 - 1}, [0.9, 0.8, 0.6]),
        ({"is_class_agnostic": True}, [0.9, 0.6]),
        ({"is_class_agnostic": True, "iou_threshold": 0.9}, [0.9, 0.8, 0.6]),
        ({"is_class_agnostic": True, "nms_kind": pb.NMS_KIND_NONE}, [0.9, 0.8, 0.6]),
        ({"is_class_agnostic": True, "nms_kind": pb.NMS_KIND_DIOU}, [0.9, 0.6]),
        # The IoU of the first two is 7 / 9.
        ({"is_class_agnostic": True, "nms_kind": pb.NMS_KIND_SOFT_LINEAR}, [0.9, 0.6, 0.8 * 2 / 9]),
        ({"is_class_agnostic": True, "nms_kind": pb.NMS_KIND_SOFT_GAUSSIAN}, [0.9, 0.6, 0.8 * np.exp(-98 / 81)]),
        ({"is_class_agnostic": True, "nms_kind": pb.NMS_KIND_MATRIX}, [0.9, 0.6, 0.8 * np.exp(-98 / 81)]),
        ({"is_class_agnostic": True, "nms_kind": pb.NMS_KIND_MATRIX, "sigma": 49 / 81}, [0.9, 0.6, 0.8 / np.e]),
    ],
)
def test_a_caller_gets_what_was_asked_for(stub: Any, options: dict[str, Any], scores: list[float]) -> None:
    response = stub.Detect(request_of(model="table", **options))
    assert [one.score for one in response.detections] == pytest.approx(scores, rel=1e-5)


@pytest.mark.parametrize("is_tiled", [False, True])
def test_boxes_are_in_the_frame_of_the_upright_picture(stub: Any, is_tiled: bool) -> None:  # noqa: FBT001
    """Stored 64 x 128 pixels, to be turned to the right; tiles are cut from what is upright."""
    pixels = plain(0, 64, 128)
    pixels[20:26, 8:14] = 255
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    options = {"tiling": TILED} if is_tiled else {"max_detections": 1, "score_threshold": 0.0}
    response = stub.Detect(request_of(image_pb2.Image(encoded=data), **options))
    assert (response.image_info.width, response.image_info.height) == (64, 128)
    assert response.image_info.is_orientation_applied
    if is_tiled:
        assert boxes_of(response) == [[38, 8, 44, 14]]
    else:
        (box,) = boxes_of(response)
        assert 0 <= box[0] <= box[2] <= 64
        assert 0 <= box[1] <= box[3] <= 128


# --- options and models


BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    *[({name: bad}, name) for name in ("score_threshold", "iou_threshold") for bad in (-0.001, 1.001, NAN, INF, -INF)],
    *[({"sigma": bad}, "sigma") for bad in (0.0, -1.0, INF, -INF, NAN)],
    *[({"max_detections": bad}, "max_detections") for bad in (0, -1, -(2**31))],
    *[({"nms_kind": bad}, "nms_kind") for bad in (7, -1)],
    *[({"class_ids": [bad]}, "class_ids[0]") for bad in (0, -1, 3, 2**31 - 1)],
    *[({"class_names": ["ring", bad]}, "class_names[1]") for bad in ("nothing", "", "Ring", "\U0001f600" * 300)],
    *[({"tiling": Tiling(tile_size_px=bad)}, "tiling.tile_size_px") for bad in (0, -5, 31, -(2**31))],
    *[
        ({"tiling": Tiling(tile_size_px=64, overlap_px=bad)}, "tiling.overlap_px")
        for bad in (-1, 33, 64, 2**31 - 1, -(2**31))
    ],
    *[({"tiling": Tiling(tile_size_px=64, merge_metric=bad)}, "tiling.merge_metric") for bad in (3, -1)],  # type: ignore[arg-type]
    *[
        ({"tiling": Tiling(tile_size_px=64, merge_threshold=bad)}, "tiling.merge_threshold")
        for bad in (-0.1, 1.1, NAN, INF)
    ],
    ({"tiling": Tiling()}, "tiling.tile_size_px"),
]


@pytest.mark.parametrize(("options", "field"), BAD_OPTIONS)
def test_an_option_out_of_range_is_named(stub: Any, options: dict[str, Any], field: str) -> None:
    """By every RPC: a unary one fails, a batch fails as a whole, a stream goes on."""
    refused = [
        refusal(stub.Detect, request_of(model="two-stage", **options)),
        refusal(stub.BatchDetect, batch_of(image_of(), model="two-stage", **options)),
    ]
    first, second = ask_stream(stub, request_of(model="two-stage", **options), request_of(model="two-stage"))
    assert second.WhichOneof("result") == "response"
    for code, status in (*refused, (grpc.StatusCode.INVALID_ARGUMENT, first.error)):
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert (error_info_of(status).domain, error_info_of(status).reason) == ("retinue", "INVALID_INPUT")
        assert error_info_of(status).metadata["field"] == f"options.{field}"
        assert [name for name, _ in violations_of(status)] == [f"options.{field}"]


@pytest.mark.parametrize("size", [64, 65_536, 2**31 - 1])
def test_a_tile_that_no_picture_fills_is_the_picture(stub: Any, size: int) -> None:
    response = stub.Detect(request_of(squares_at((5, 6)), tiling=Tiling(tile_size_px=size)))
    assert boxes_of(response) == [[5, 6, 11, 12]]


def test_a_picture_cut_into_too_many_tiles_is_refused(stub: Any) -> None:
    """32 pixels cut 200 x 200 into 49 tiles, of which 40 are allowed; a smaller picture of the same batch is taken."""
    options = {"tiling": Tiling(tile_size_px=32, overlap_px=0)}
    large, small = image_of(plain(0, 200, 200)), image_of(plain(0, 100, 100))
    code, status = refusal(stub.Detect, request_of(large, **options))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info_of(status).metadata["field"] == "options.tiling.tile_size_px"
    assert error_info_of(status).metadata["limit"] == "40"
    assert "into 49 tiles; at most 40 are allowed" in status.message
    results = stub.BatchDetect(batch_of(large, small, **options)).results
    assert [one.WhichOneof("result") for one in results] == ["error", "response"]
    assert violations_of(results[0].error)[0][0] == "options.tiling.tile_size_px"
    results = ask_stream(stub, request_of(large, **options), request_of(small, **options))
    assert [one.WhichOneof("result") for one in results] == ["error", "response"]


@pytest.mark.parametrize(
    ("model", "version", "expected"),
    [("", "", "squares@1"), ("table", "", "table@10"), ("table", "9", "table@9"), ("two-stage", "1", "two-stage@1")],
)
def test_a_request_may_name_its_model(stub: Any, model: str, version: str, expected: str) -> None:
    response = stub.Detect(request_of(model=model, version=version))
    assert f"{response.model.name}@{response.model.version}" == expected


@pytest.mark.parametrize("options", [{}, {"tiling": TILED}])
def test_an_unknown_model_is_not_found_and_a_broken_one_not_ready(stub: Any, options: dict[str, Any]) -> None:
    assert refusal(stub.Detect, request_of(model="nobody", **options))[0] is grpc.StatusCode.NOT_FOUND
    assert refusal(stub.Detect, request_of(model="broken", **options))[0] is grpc.StatusCode.UNAVAILABLE


# --- which picture


@pytest.mark.parametrize("options", [{}, {"tiling": TILED}])
@pytest.mark.parametrize(
    ("image", "reason", "field"),
    [
        (image_pb2.Image(), "INVALID_INPUT", "image"),
        (image_pb2.Image(encoded=b""), "INVALID_IMAGE", "image.encoded"),
        (image_pb2.Image(encoded=b"%PDF-1.7"), "INVALID_IMAGE", "image.encoded"),
        (image_pb2.Image(encoded=damaged()), "INVALID_IMAGE", "image.encoded"),
        (image_of(plain(0, 448, 448)), "IMAGE_TOO_LARGE", "image.encoded"),
        (image_pb2.Image(encoded=b"x" * 200_001), "IMAGE_TOO_LARGE", "image.encoded"),
        (image_pb2.Image(encoded=image_of().encoded, id="x" * 257), "INVALID_INPUT", "image.id"),
    ],
)
def test_a_picture_that_cannot_be_used_is_named(
    stub: Any, image: image_pb2.Image, reason: str, field: str, options: dict[str, Any]
) -> None:
    code, status = refusal(stub.Detect, request_of(image, **options))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info_of(status).reason == reason
    assert [name for name, _ in violations_of(status)] == [field]


def test_an_empty_request_is_told_what_it_lacks(stub: Any) -> None:
    code, status = refusal(stub.Detect, pb.DetectRequest())
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert violations_of(status) == [("image", "required: set encoded (a file's bytes) or raw (pixels)")]


# --- tiling


def test_a_large_picture_is_looked_at_through_tiles(stub: Any) -> None:
    corners = [(0, 0), (294, 0), (60, 30), (122, 61), (294, 94), (70, 50)]
    image = squares_at(*corners, height=100, width=300, image_id="large")
    response = stub.Detect(request_of(image, tiling=TILED))
    assert corners_of(response) == sorted(corners)
    assert response.image_id == "large"
    assert (response.image_info.width, response.image_info.height) == (300, 100)
    assert response.timings.infer.nanos > 0
    assert response.timings.batch_size >= 1
    assert stub.Detect(request_of(image)).detections != response.detections  # as a whole they are too small


def test_every_rpc_looks_through_tiles(stub: Any) -> None:
    corners = [(3, 3), (100, 50)]
    image = squares_at(*corners, height=100, width=150)
    alone = stub.Detect(request_of(image, tiling=TILED))
    (batched,) = stub.BatchDetect(batch_of(image, tiling=TILED)).results
    (streamed,) = ask_stream(stub, request_of(image, tiling=TILED))
    assert corners_of(alone) == corners_of(batched.response) == corners_of(streamed.response) == corners


@pytest.mark.parametrize("options", [{}, {"tiling": TILED}])
def test_a_bad_picture_does_not_fail_its_neighbours(stub: Any, options: dict[str, Any]) -> None:
    images = [
        squares_at((5, 5), image_id="a"),
        image_pb2.Image(encoded=b"junk", id="b"),
        squares_at((9, 9), image_id="c"),
        image_pb2.Image(encoded=damaged(), id="d"),
        squares_at(image_id="e"),
    ]
    results = stub.BatchDetect(batch_of(*images, **options)).results
    assert [one.image_id for one in results] == list("abcde")
    assert [one.WhichOneof("result") for one in results] == ["response", "error", "response", "error", "response"]
    assert [corners_of(one.response) for one in results] == [[(5, 5)], [], [(9, 9)], [], []]
    for index in (1, 3):
        assert error_info_of(results[index].error).reason == "INVALID_IMAGE"
        assert violations_of(results[index].error)[0][0] == f"images[{index}].encoded"


@pytest.mark.parametrize("options", [{}, {"tiling": TILED}])
def test_a_picture_that_the_model_fails_on_does_not_fail_its_neighbours(stub: Any, options: dict[str, Any]) -> None:
    images = [image_of(plain(51)), image_of(plain(255)), image_of(plain(102))]
    results = stub.BatchDetect(batch_of(*images, model="poison", **options)).results
    assert [one.WhichOneof("result") for one in results] == ["response", "error", "response"]
    assert results[1].error.code == grpc.StatusCode.INTERNAL.value[0]
    assert "internal error; quote request id" in results[1].error.message
    code, _ = refusal(stub.Detect, request_of(image_of(plain(255)), model="poison", **options))
    assert code is grpc.StatusCode.INTERNAL


def test_a_batch_answers_as_each_picture_alone(stub: Any) -> None:
    rng = np.random.default_rng(0)
    images = [image_of(rng.integers(0, 256, (64, width, 3), np.uint8)) for width in (64, 90, 64, 128, 33)]
    results = stub.BatchDetect(batch_of(*images, model="two-stage")).results
    for result, image in zip(results, images, strict=True):
        alone = stub.Detect(request_of(image, model="two-stage"))
        assert len(alone.detections) > 0
        for response in (alone, result.response):
            response.ClearField("timings")
        assert result.response == alone


@pytest.mark.parametrize("count", [0, 6])
def test_a_batch_of_none_or_too_many_is_refused(stub: Any, count: int) -> None:
    code, status = refusal(stub.BatchDetect, batch_of(*[image_of()] * count))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert violations_of(status) == [("images", f"has {count} pictures; 1 to 5 are allowed")]


# --- streams


def test_a_stream_is_answered_in_order_with_errors_in_their_places(stub: Any) -> None:
    wide = squares_at((100, 5), width=150, image_id="c")
    results = ask_stream(
        stub,
        request_of(squares_at((1, 1), image_id="a")),
        request_of(image_pb2.Image(encoded=b"junk", id="b")),
        request_of(wide, tiling=TILED),
        request_of(squares_at(image_id="d"), model="nobody"),
        request_of(squares_at(image_id="e"), max_detections=0),
        request_of(image_pb2.Image(encoded=damaged(), id="f"), tiling=TILED),
        request_of(image_of(image_id="g"), model="poison"),
        request_of(image_of(image_id="h"), model="table", max_detections=1),
    )
    assert [one.image_id for one in results] == list("abcdefgh")
    reasons = [error_info_of(one.error).reason if one.HasField("error") else "" for one in results]
    assert reasons == ["", "INVALID_IMAGE", "", "MODEL_NOT_FOUND", "INVALID_INPUT", "INVALID_IMAGE", "INTERNAL", ""]
    assert corners_of(results[0].response) == [(1, 1)]
    assert corners_of(results[2].response) == [(100, 5)]
    assert boxes_of(results[7].response) == [[20, 12, 44, 20]]


def test_an_empty_stream_has_no_answers(stub: Any) -> None:
    assert ask_stream(stub) == []


def test_a_stream_longer_than_its_window_is_answered_in_order(stub: Any) -> None:
    requests = [
        request_of(squares_at((n % 50, 3), image_id=str(n)), **({"tiling": TILED} if n % 3 else {})) for n in range(100)
    ]
    results = ask_stream(stub, *requests)
    assert [one.image_id for one in results] == [str(n) for n in range(100)]
    assert [corners_of(one.response) for one in results] == [[(n % 50, 3)] for n in range(100)]


def test_a_stream_keeps_no_picture_that_is_answered(stub: Any) -> None:
    let_go = threading.Event()

    def requests() -> Iterator[pb.DetectStreamRequest]:
        for n in range(60):
            yield pb.DetectStreamRequest(request=request_of(squares_at(image_id=str(n)), tiling=TILED))
        assert let_go.wait(PATIENCE_S)

    kept = len(live(Ticket, TiledPicture))
    responses = stub.DetectStream(requests(), timeout=PATIENCE_S)
    for _ in range(60):
        next(responses)
    # The last ones may still be in the hands of the threads that answered them.
    assert len(live(Ticket, TiledPicture)) - kept <= 8
    let_go.set()
    assert list(responses) == []


def live(*kinds: type) -> list[Any]:
    return [one for one in gc.get_objects() if type(one) in kinds]


# --- a service that has no time


def wait_until(is_so: Callable[[], object]) -> None:
    """Wait for what must come to pass in another thread."""
    end_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end_s
        threading.Event().wait(0.002)


LARGE = squares_at((70, 70), (3, 300), height=320, width=320)


def test_a_full_queue_is_told(held: Held, held_stub: Any) -> None:
    with held.shut():
        busy = held_stub.Detect.future(request_of())
        assert held.pipeline.is_decoding.wait(PATIENCE_S)
        waiting = [held_stub.Detect.future(request_of()) for _ in range(2)]
        wait_until(lambda: held.engine.queue_length == 2)
        for options in ({}, {"tiling": TILED}):
            code, status = refusal(held_stub.Detect, request_of(LARGE, **options))
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert error_info_of(status).reason == "OVERLOADED"
            assert retry_delay_s(status) is not None
            (result,) = held_stub.BatchDetect(batch_of(LARGE, **options)).results
            assert result.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
            (result,) = ask_stream(held_stub, request_of(LARGE, **options))
            assert error_info_of(result.error).reason == "OVERLOADED"
    for call in (busy, *waiting):
        call.result(PATIENCE_S)
    assert corners_of(held_stub.Detect(request_of(LARGE, tiling=TILED))) == [(3, 300), (70, 70)]


def test_tiles_wait_for_places_in_a_small_queue(held: Held, held_stub: Any) -> None:
    """It has two; there are 36 tiles and other callers."""
    calls = [held_stub.Detect.future(request_of(LARGE, tiling=TILED)) for _ in range(3)]
    assert [corners_of(call.result(PATIENCE_S)) for call in calls] == [[(3, 300), (70, 70)]] * 3


@pytest.mark.parametrize("method", ["Detect", "BatchDetect"])
def test_a_deadline_that_passes_while_tiling_is_told(held: Held, held_stub: Any, method: str) -> None:
    make: Any = {"Detect": request_of, "BatchDetect": batch_of}[method]
    with held.shut():
        with pytest.raises(grpc.RpcError) as caught:
            getattr(held_stub, method)(make(LARGE, tiling=TILED), timeout=0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert_nothing_is_left(held, held_stub)


def test_a_deadline_that_passes_while_tiling_ends_a_stream(held: Held, held_stub: Any) -> None:
    messages = [pb.DetectStreamRequest(request=request_of(LARGE, tiling=TILED)) for _ in range(3)]
    with held.shut():
        with pytest.raises(grpc.RpcError) as caught:
            list(held_stub.DetectStream(iter(messages), timeout=0.1))
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert_nothing_is_left(held, held_stub)


@pytest.mark.parametrize("method", ["Detect", "BatchDetect"])
def test_a_caller_who_leaves_while_tiling_leaves_nothing_behind(held: Held, held_stub: Any, method: str) -> None:
    make: Any = {"Detect": request_of, "BatchDetect": batch_of}[method]
    with held.shut():
        call = getattr(held_stub, method).future(make(LARGE, tiling=TILED))
        assert held.pipeline.is_decoding.wait(PATIENCE_S)
        call.cancel()
        wait_until(lambda: held.run.host._pool.in_flight == 0)  # although the worker is still at it
    assert_nothing_is_left(held, held_stub)


def test_a_caller_who_leaves_a_stream_while_tiling_leaves_nothing_behind(held: Held, held_stub: Any) -> None:
    messages = [pb.DetectStreamRequest(request=request_of(LARGE, tiling=TILED)) for _ in range(40)]
    with held.shut():
        call = held_stub.DetectStream(iter(messages))
        assert held.pipeline.is_decoding.wait(PATIENCE_S)
        call.cancel()
        wait_until(lambda: held.run.host._pool.in_flight == 0)
    assert_nothing_is_left(held, held_stub)


def test_a_caller_who_leaves_before_a_slot_is_free_holds_no_thread(held: Held, held_stub: Any) -> None:
    """One picture at a time is cut into tiles; the others wait, as long as their callers do."""
    with held.shut():
        first = held_stub.Detect.future(request_of(LARGE, tiling=TILED))
        assert held.pipeline.is_decoding.wait(PATIENCE_S)
        others = [held_stub.Detect.future(request_of(LARGE, tiling=TILED)) for _ in range(3)]
        wait_until(lambda: held.run.host._pool.in_flight == 4)
        for call in others:
            call.cancel()
        wait_until(lambda: held.run.host._pool.in_flight == 1)
    assert corners_of(first.result(PATIENCE_S)) == [(3, 300), (70, 70)]
    assert_nothing_is_left(held, held_stub)


def assert_nothing_is_left(held: Held, held_stub: Any) -> None:
    """The one slot is free, no handler is busy, and no ticket or decoded picture is left."""
    assert corners_of(held_stub.Detect(request_of(LARGE, tiling=TILED), timeout=PATIENCE_S)) == [(3, 300), (70, 70)]
    wait_until(lambda: held.run.host._pool.in_flight == 0)
    wait_until(lambda: held.engine.queue_length == 0)
    gc.collect()
    wait_until(lambda: not live(SharedPicture, TiledPicture))
    wait_until(lambda: len(live(Ticket)) <= 1)  # a worker may still hold the last


# --- what is said of a call


def test_each_picture_that_is_opened_is_counted_once_however_many_tiles_it_has(served: Run, stub: Any) -> None:
    def count() -> float:
        value = served.host.metrics.registry.get_sample_value("retinue_image_bytes_count")
        assert value is not None
        return value

    before = count()
    stub.BatchDetect(batch_of(image_of(plain(0, 100, 300)), image_pb2.Image(encoded=b"junk"), tiling=TILED))
    assert count() == before + 1


def test_the_log_line_says_which_model_answered_and_how_long_it_waited(stub: Any) -> None:
    for options in ({}, {"tiling": TILED}):
        with capture_logs() as logs:
            stub.Detect(request_of(model="table", **options))
        (line,) = logs
        assert (line["model"], line["batch_size"]) == ("table@10", 1)
        assert line["queue_s"] >= 0


def test_the_log_line_of_a_batch_and_of_a_stream_counts_items(stub: Any) -> None:
    with capture_logs() as logs:
        stub.BatchDetect(batch_of(image_of(), image_pb2.Image()))
        ask_stream(stub, request_of(), request_of(tiling=TILED), request_of(image_pb2.Image()))
    batch, stream = logs
    assert (batch["code"], batch["item_count"], batch["failed_items"]) == ("OK", 2, 1)
    assert (stream["code"], stream["item_count"], stream["failed_items"]) == ("OK", 3, 1)


def test_a_fault_of_the_model_is_logged_and_not_told(stub: Any) -> None:
    for options in ({}, {"tiling": TILED}):
        with capture_logs() as logs:
            refusal(stub.Detect, request_of(model="poison", **options))
        failed = [line for line in logs if line["event"] == "rpc_failed"]
        assert "not finite" in repr(failed[0]["exc_info"])
