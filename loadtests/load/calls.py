"""What is called: for each service one call of each kind over the typed API, with requests made beforehand."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import grpc

from loadtests.load.matching_requests import matching_calls
from loadtests.load.pictures import picture_set
from loadtests.load.scenario import Scenario, Service
from loadtests.load.served_call import Send, ServedCall
from loadtests.load.slide_requests import slide_requests
from retinue.classification.v1 import classification_pb2, classification_pb2_grpc
from retinue.common.v1 import image_pb2
from retinue.detection.v1 import detection_pb2, detection_pb2_grpc
from retinue.segmentation.v1 import segmentation_pb2, segmentation_pb2_grpc

_PICTURE_COUNT = 24  # of which requests are made; a few megabytes
_REQUEST_COUNT = 6  # of batches and streams, each
_PICTURE_SERVICES: Mapping[str, tuple[str, Any, Callable[[grpc.Channel], Any]]] = {
    "classification": ("Classify", classification_pb2, classification_pb2_grpc.ClassificationServiceStub),
    "detection": ("Detect", detection_pb2, detection_pb2_grpc.DetectionServiceStub),
    "segmentation": ("Segment", segmentation_pb2, segmentation_pb2_grpc.SegmentationServiceStub),
}
"""Of each its verb, its messages and its stub."""


def calls_of(service: Service, channel: grpc.Channel, scenario: Scenario) -> Mapping[str, ServedCall]:
    """Return the calls of one service by their kinds, those of the scenario's mix."""
    calls = matching_calls(channel, scenario) if service == "matching" else _picture_calls(service, channel, scenario)
    by_kind = {call.name.partition(".")[2]: call for call in calls}
    return {kind: by_kind[kind] for kind in scenario.mix[service]}


def _picture_calls(service: str, channel: grpc.Channel, scenario: Scenario) -> Iterable[ServedCall]:
    """Yield the calls of a service of pictures, whose methods and messages are named after what it does."""
    verb, messages, make_stub = _PICTURE_SERVICES[service]
    stub = make_stub(channel)
    pictures = picture_set(service, _PICTURE_COUNT, scenario.seed)
    images = [image_pb2.Image(encoded=picture.encoded, id=picture.name) for picture in pictures]
    one = [getattr(messages, f"{verb}Request")(image=image) for image in images]
    send = _unary(getattr(stub, verb))
    yield ServedCall(f"{service}.unary", verb, [(request, 1) for request in one], send)
    groups = _groups(images, scenario.batch_count, scenario.seed)
    batches = [(getattr(messages, f"Batch{verb}Request")(images=group), len(group)) for group in groups]
    yield ServedCall(f"{service}.batch", f"Batch{verb}", batches, _batch(getattr(stub, f"Batch{verb}")))
    if service == "segmentation":  # whose stream is of one slide
        slides = slide_requests(scenario.stream_count, scenario.seed)
        streams, send = [(slide, len(slide) - 1) for slide in slides], _slide(stub.SegmentStream)
    else:
        requests = [getattr(messages, f"{verb}StreamRequest")(request=request) for request in one]
        streams = [(group, len(group)) for group in _groups(requests, scenario.stream_count, 1)]
        send = _stream(getattr(stub, f"{verb}Stream"))
    yield ServedCall(f"{service}.stream", f"{verb}Stream", streams, send)


def _groups(messages: Sequence[Any], size: int, seed: int) -> list[list[Any]]:
    chance = random.Random(seed)  # noqa: S311 - no secret
    return [chance.choices(messages, k=size) for _ in range(_REQUEST_COUNT)]


def _unary(method: Callable[..., Any]) -> Send:
    def send(request: Any, timeout_s: float) -> int:
        answer = method(request, timeout=timeout_s)
        return int(answer.image_id == request.image.id)  # somebody else's answer is none

    return send


def _batch(method: Callable[..., Any]) -> Send:
    def send(request: Any, timeout_s: float) -> int:
        results = method(request, timeout=timeout_s).results
        return _answered([image.id for image in request.images], results)

    return send


def _stream(method: Callable[..., Any]) -> Send:
    def send(messages: Sequence[Any], timeout_s: float) -> int:
        results = [answer.result for answer in method(iter(messages), timeout=timeout_s)]
        return _answered([message.request.image.id for message in messages], results)

    return send


def _slide(method: Callable[..., Any]) -> Send:
    def send(messages: Sequence[Any], timeout_s: float) -> int:
        # What comes back is as the windows fall; only the summary says that every tile was seen.
        answers = method(iter(messages), timeout=timeout_s)
        return sum(answer.summary.tile_count for answer in answers if answer.WhichOneof("message") == "summary")

    return send


def _answered(ids: Sequence[str], results: Sequence[Any]) -> int:
    """Return how many items have an answer that is theirs, in the order of the requests."""
    if len(ids) != len(results):
        return 0
    return sum(
        result.image_id == wanted and result.HasField("response") for wanted, result in zip(ids, results, strict=True)
    )
