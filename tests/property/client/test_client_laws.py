"""Laws of the client that hold whatever it is given."""

from collections import deque
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
from google.protobuf import any_pb2
from google.rpc import status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from retinue.client.channel import target_uri
from retinue.client.classification_answer import Classification, Label, ScoredLabel
from retinue.client.classification_drawing import MAX_SIDE_PX, MIN_WIDTH_PX, draw_classification
from retinue.client.detection_answer import Detection, DetectionAnswer
from retinue.client.detection_drawing import draw_detections
from retinue.client.errors import ItemError, call_failed, item_error
from retinue.client.image_info import ImageInfo
from retinue.client.lettering import Lettering, printable
from retinue.client.pictures import image_message
from retinue.client.plates import place_plates
from retinue.client.stream_order import Answered, Ended, Exhausted, Refused, Sent, StreamOrder
from retinue.client.timings import Timings


class Failure(grpc.RpcError):
    """What gRPC raises, as far as it is read."""

    def __init__(self, trailing: Any) -> None:
        super().__init__()
        self._trailing = trailing

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.RESOURCE_EXHAUSTED

    def details(self) -> str:
        return "no"

    def trailing_metadata(self) -> Any:
        return self._trailing


@given(st.lists(st.booleans()), st.randoms(use_true_random=False))
def test_results_come_in_the_order_of_the_pictures(are_good: list[bool], random: Any) -> None:
    """However sending and answering interleave, and whatever cannot be sent."""
    order: StreamOrder[str] = StreamOrder(timeout_s=1.0, request_id="r")
    feed = deque(enumerate(are_good))
    unanswered: deque[str] = deque()
    results: list[Any] = []
    while feed or unanswered:
        if feed and (not unanswered or random.random() < 0.5):
            number, is_good = feed.popleft()
            if is_good:
                results += order.take(Sent(0.0))
                unanswered.append(str(number))
            else:
                error = ItemError(str(number), grpc.StatusCode.INVALID_ARGUMENT, "bad")
                results += order.take(Refused(error))
        else:
            results += order.take(Answered(unanswered.popleft(), 0.0))
    order.take(Exhausted())
    order.take(Ended())
    names = [result.image_id if isinstance(result, ItemError) else result for result in results]
    assert names == [str(number) for number in range(len(are_good))]
    assert order.is_over


@given(st.binary(), st.binary(), st.integers(-(2**31), 2**31 - 1))
def test_details_of_any_bytes_leave_a_failure_that_can_be_read(junk: bytes, value: bytes, code: int) -> None:
    failure = call_failed(Failure((("grpc-status-details-bin", junk),)), "r")
    assert failure.message == "no"
    details = [
        any_pb2.Any(type_url=f"type.googleapis.com/google.rpc.{kind}", value=value)
        for kind in ("ErrorInfo", "RetryInfo")
    ]
    error = item_error("x", status_pb2.Status(code=code, details=details), "r")
    assert error.code is not grpc.StatusCode.OK
    assert error.retry_after_s is None or error.retry_after_s >= 0


@given(
    pixels=hnp.arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3))),
    axes=st.permutations([0, 1]),
    is_flipped=st.booleans(),
)
def test_pixels_arrive_as_they_were(pixels: NDArray[np.uint8], axes: list[int], *, is_flipped: bool) -> None:
    turned = pixels.transpose(*axes, 2)[:: -1 if is_flipped else 1]
    raw = image_message(turned).raw
    received = np.frombuffer(raw.pixels, np.uint8).reshape(raw.height, raw.width, 3)
    np.testing.assert_array_equal(received, turned)


@given(st.one_of(st.text(), st.lists(st.text())))
def test_a_target_is_named_or_refused(target: str | list[str]) -> None:
    try:
        uri = target_uri(target)
    except ValueError:
        return
    assert uri.startswith(("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "xds:"))


@settings(deadline=None, max_examples=50)  # drawing takes milliseconds, and large pictures take their time
@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    labels=st.lists(st.tuples(st.text(max_size=50), st.floats(width=32)), max_size=15),
    is_unknown=st.sampled_from([True, False, None]),
)
def test_any_answer_can_be_drawn_on_any_picture(
    height: int, width: int, labels: list[tuple[str, float]], *, is_unknown: bool | None
) -> None:
    answer = Classification(
        image_id="",
        labels=tuple(ScoredLabel(Label(0, name), score) for name, score in labels),
        unknown_score=0.5,
        is_unknown=is_unknown,
        logits=None,
        embedding=None,
        image_info=ImageInfo(width, height, 1, False, None),
        model_name="m",
        model_version="1",
        timings=Timings(0.0, 0.0, 0.0, 0.0, 0.0, 1),
    )
    drawn = draw_classification(np.zeros((height, width), np.uint8), answer)
    assert drawn.dtype == np.uint8
    assert MIN_WIDTH_PX <= drawn.shape[1] <= MAX_SIDE_PX


edges = st.one_of(st.floats(-100, 2000, width=32), st.floats(width=32))


@settings(deadline=None, max_examples=50)  # drawing takes milliseconds, and large pictures take their time
@given(
    height=st.integers(1, 2000),
    width=st.integers(1, 2000),
    found=st.lists(
        st.builds(
            Detection, st.tuples(edges, edges, edges, edges), st.integers(), st.text(max_size=50), st.floats(width=32)
        ),
        max_size=30,
    ),
)
def test_any_detections_can_be_drawn_on_any_picture(height: int, width: int, found: list[Detection]) -> None:
    answer = DetectionAnswer(
        image_id="",
        detections=tuple(replace(one, label_id=one.label_id % 2**31) for one in found),
        image_info=ImageInfo(width, height, 1, False, None),
        model_name="m",
        model_version="1",
        timings=Timings(0.0, 0.0, 0.0, 0.0, 0.0, 1),
    )
    drawn = draw_detections(np.zeros((height, width), np.uint8), answer)
    assert drawn.dtype == np.uint8
    assert drawn.shape[0] > height
    assert drawn.shape[1] >= max(width, 320)


@given(
    corners=st.lists(st.tuples(st.integers(0, 199), st.integers(0, 149), st.integers(1, 90), st.integers(1, 90))),
    sizes=st.lists(st.tuples(st.integers(1, 260), st.integers(1, 30)), min_size=1, max_size=3),
)
def test_plates_lie_inside_and_never_over_each_other(
    corners: list[tuple[int, int, int, int]], sizes: list[tuple[int, int]]
) -> None:
    boxes = np.array([(x, y, x + width, y + height) for x, y, width, height in corners], np.int64).reshape(-1, 4)
    taken = np.zeros((150, 200), np.int64)
    for plate in place_plates(boxes, [sizes] * len(boxes), (200, 150), gap=0):
        width, height = sizes[plate.variant]
        assert 0 <= plate.left <= 200 - width
        assert 0 <= plate.top <= 150 - height
        taken[plate.top : plate.top + height, plate.left : plate.left + width] += 1
    assert taken.max() <= 1


@given(text=st.text(), room=st.integers(-10, 500), size=st.sampled_from([0.85, 1.0, 2.5]), is_bold=st.booleans())
def test_a_shortened_text_fits_where_its_dots_do(text: str, room: int, size: float, *, is_bold: bool) -> None:
    lettering = Lettering(size, is_bold=is_bold)
    short = lettering.shortened(text, room)
    assert lettering.width(short) <= max(room, lettering.width("..."))
    assert short.isascii()
    assert short == printable(text) or short.endswith("...")
