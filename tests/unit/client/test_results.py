import grpc
import pytest
from google.rpc import code_pb2, status_pb2

from retinue.client.errors import CallFailed, ItemError
from retinue.client.results import read_result, read_results
from retinue.detection.v1 import detection_pb2 as pb

REFUSED = ItemError("refused", grpc.StatusCode.INVALID_ARGUMENT, "no picture")


def good(image_id: str) -> pb.DetectResult:
    return pb.DetectResult(image_id=image_id, response=pb.DetectResponse(image_id=image_id))


def test_refused_pictures_are_put_back_in_their_places() -> None:
    results = read_results([good("1"), good("3")], [REFUSED, None, REFUSED, None], lambda one: one.image_id, "r")
    assert results == [REFUSED, "1", REFUSED, "3"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_as_many_results_as_pictures_or_none_at_all(count: int) -> None:
    with pytest.raises(CallFailed, match=f"{count} results for 2 pictures") as caught:
        read_results([good("x")] * count, [None, REFUSED, None], lambda one: one, "r-1")
    assert (caught.value.reason, caught.value.request_id) == ("BATCH_BROKEN", "r-1")


def test_an_error_carries_the_pictures_name_and_the_calls_id() -> None:
    status = status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message="image: it cannot be read")
    error = read_result(pb.DetectResult(image_id="bad", error=status), lambda one: one, "r-1")
    assert isinstance(error, ItemError)
    assert (error.image_id, error.message, error.request_id) == ("bad", "image: it cannot be read", "r-1")
