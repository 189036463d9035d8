"""What is called: for each service one call of each kind over the typed API, with requests made beforehand."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import grpc

from loadtests.load.matching_requests import matching_calls
from loadtests.load.pictures import SentPicture, picture_set
from loadtests.load.scenario import Scenario, Service
from loadtests.load.served_call import Send, ServedCall
from loadtests.load.slide_requests import slide_requests
from retinue.classification.v1 import classification_pb2, classification_pb2_grpc
from retinue.common.v1 import image_pb2
from retinue.detection.v1 import detection_pb2, detection_pb2_grpc
from retinue.segmentation.v1 import segmentation_pb2, segmentation_pb2_grpc

_PICTURE_COUNT = 24  # of which requests are made; a few megabytes
_REQUEST_COUNT = 6  # of batches and streams, each


def calls_of(service: Service, channel: grpc.Channel, scenario: Scenario) -> Mapping[str, ServedCall]:
    """Return the calls of one service by their kinds, those of the scenario's mix."""
    makers: dict[str, Callable[[grpc.Channel, Scenario, Sequence[SentPicture]], Iterable[ServedCall]]] = {
        "classification": _classification_calls,
        "detection": _detection_calls,
        "segmentation": _segmentation_calls,
    }
    if service == "matching":
        calls = matching_calls(channel, scenario)
    else:
        calls = makers[service](channel, scenario, picture_set(service, _PICTURE_COUNT, scenario.seed))
    by_kind = {call.name.partition(".")[2]: call for call in calls}
    return {kind: by_kind[kind] for kind in scenario.mix[service]}


def _classification_calls(
    channel: grpc.Channel, scenario: Scenario, pictures: Sequence[SentPicture]
) -> Iterable[ServedCall]:
    stub, pb = classification_pb2_grpc.ClassificationServiceStub(channel), classification_pb2
    images = _images(pictures)
    one = [pb.ClassifyRequest(image=image) for image in images]
    yield ServedCall("classification.unary", "Classify", [(request, 1) for request in one], _unary(stub.Classify))
    batches = [pb.BatchClassifyRequest(images=group) for group in _groups(images, scenario.batch_count, scenario.seed)]
    send = _batch(stub.BatchClassify)
    yield ServedCall("classification.batch", "BatchClassify", [(b, len(b.images)) for b in batches], send)
    streams = _groups([pb.ClassifyStreamRequest(request=request) for request in one], scenario.stream_count, 1)
    send = _stream(stub.ClassifyStream)
    yield ServedCall("classification.stream", "ClassifyStream", [(group, len(group)) for group in streams], send)


def _detection_calls(
    channel: grpc.Channel, scenario: Scenario, pictures: Sequence[SentPicture]
) -> Iterable[ServedCall]:
    stub, pb = detection_pb2_grpc.DetectionServiceStub(channel), detection_pb2
    images = _images(pictures)
    one = [pb.DetectRequest(image=image) for image in images]
    yield ServedCall("detection.unary", "Detect", [(request, 1) for request in one], _unary(stub.Detect))
    batches = [pb.BatchDetectRequest(images=group) for group in _groups(images, scenario.batch_count, scenario.seed)]
    send = _batch(stub.BatchDetect)
    yield ServedCall("detection.batch", "BatchDetect", [(b, len(b.images)) for b in batches], send)
    streams = _groups([pb.DetectStreamRequest(request=request) for request in one], scenario.stream_count, 1)
    send = _stream(stub.DetectStream)
    yield ServedCall("detection.stream", "DetectStream", [(group, len(group)) for group in streams], send)


def _segmentation_calls(
    channel: grpc.Channel, scenario: Scenario, pictures: Sequence[SentPicture]
) -> Iterable[ServedCall]:
    stub, pb = segmentation_pb2_grpc.SegmentationServiceStub(channel), segmentation_pb2
    images = _images(pictures)
    one = [pb.SegmentRequest(image=image) for image in images]
    yield ServedCall("segmentation.unary", "Segment", [(request, 1) for request in one], _unary(stub.Segment))
    batches = [pb.BatchSegmentRequest(images=group) for group in _groups(images, scenario.batch_count, scenario.seed)]
    send = _batch(stub.BatchSegment)
    yield ServedCall("segmentation.batch", "BatchSegment", [(b, len(b.images)) for b in batches], send)
    slides = slide_requests(scenario.stream_count, scenario.seed)

    def send_slide(messages: Sequence[segmentation_pb2.SegmentStreamRequest], timeout_s: float) -> int:
        # What comes back is as the windows fall; only the summary says that every tile was seen.
        counts = [
            answer.summary.tile_count
            for answer in stub.SegmentStream(iter(messages), timeout=timeout_s)
            if answer.WhichOneof("message") == "summary"
        ]
        return sum(counts)

    tiles = [(messages, len(messages) - 1) for messages in slides]
    yield ServedCall("segmentation.stream", "SegmentStream", tiles, send_slide)


def _images(pictures: Sequence[SentPicture]) -> list[image_pb2.Image]:
    return [image_pb2.Image(encoded=picture.encoded, id=picture.name) for picture in pictures]


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


def _answered(ids: Sequence[str], results: Sequence[Any]) -> int:
    """Return how many items have an answer that is theirs, in the order of the requests."""
    if len(ids) != len(results):
        return 0
    return sum(
        result.image_id == wanted and result.HasField("response") for wanted, result in zip(ids, results, strict=True)
    )
