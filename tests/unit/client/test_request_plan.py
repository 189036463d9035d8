from pathlib import Path

import pytest

from retinue.client.errors import ItemError
from retinue.client.keywords import CallKeywords
from retinue.client.request_plan import RequestMessages, RequestPlan, plan_request
from retinue.detection.v1 import detection_pb2 as pb

Plan = RequestPlan[pb.DetectRequest, pb.BatchDetectRequest, pb.DetectStreamRequest]

MESSAGES = RequestMessages(pb.DetectRequest, pb.BatchDetectRequest, pb.DetectStreamRequest)
OPTIONS = pb.DetectionOptions(max_detections=3)


def plan(keywords: CallKeywords | None = None, max_message_bytes: int = 10_000) -> Plan:
    return plan_request(
        MESSAGES, OPTIONS, keywords or CallKeywords(), default_timeout_s=10.0, max_message_bytes=max_message_bytes
    )


def test_all_three_messages_carry_model_and_options() -> None:
    asked = plan(CallKeywords(model="pets@2"))
    streamed = asked.streamed(b"x")
    assert isinstance(streamed, pb.DetectStreamRequest)
    for request in (asked.single(b"x"), asked.batched([b"x"])[0], streamed.request):
        assert (request.model.name, request.model.version, request.options) == ("pets", "2", OPTIONS)


def test_a_picture_of_a_stream_that_cannot_be_sent_is_an_error_in_its_place(tmp_path: Path) -> None:
    refusal = plan(CallKeywords(request_id="r-1")).streamed(tmp_path / "missing.png")
    assert isinstance(refusal, ItemError)
    assert (refusal.image_id, refusal.reason, refusal.request_id) == ("missing.png", "PICTURE_UNREADABLE", "r-1")


@pytest.mark.parametrize("name_count", [1, 1000])
def test_no_single_message_is_above_the_limit(name_count: int) -> None:
    """Long options leave less room for the picture."""
    options = pb.DetectionOptions(class_names=["a class"] * name_count)
    asked = plan_request(MESSAGES, options, CallKeywords(), default_timeout_s=1.0, max_message_bytes=100_000)
    largest = 100_000 - 4096 - options.ByteSize()
    assert asked.single(b"x" * largest).ByteSize() <= 100_000
    with pytest.raises(ValueError, match="at most"):
        asked.single(b"x" * (largest + 1))


def test_a_batch_above_the_limit_is_refused_as_a_whole() -> None:
    with pytest.raises(ValueError, match="use a stream"):
        plan().batched([b"x" * 5_000] * 2)


def test_the_call_is_as_its_keywords_say() -> None:
    assert plan(CallKeywords(timeout_s=2.0, request_id="r-1")).call.timeout_s == 2.0
    assert plan(CallKeywords(timeout_s=None)).call.timeout_s == 10.0
