"""Problems for the matching service: points and boxes that are those of another set, moved a little."""

import random
from collections.abc import Iterable, Sequence

import grpc

from loadtests.load.scenario import Scenario
from loadtests.load.served_call import ServedCall
from retinue.common.v1 import model_pb2
from retinue.matching.v1 import matching_pb2 as pb
from retinue.matching.v1 import matching_pb2_grpc

_REQUEST_COUNT = 8
_SIZES = (10, 30, 100, 300)
_FIELD_PX = 2000.0


def matching_calls(channel: grpc.Channel, scenario: Scenario) -> Iterable[ServedCall]:
    """Yield the calls of matching: points one problem at a time, boxes in batches, evaluations as a stream."""
    stub = matching_pb2_grpc.MatchingServiceStub(channel)
    chance = random.Random(f"matching {scenario.seed}")  # noqa: S311 - no secret

    def send_points(request: pb.MatchPointsRequest, timeout_s: float) -> int:
        return len(stub.MatchPoints(request, timeout=timeout_s).matchings)

    points = [pb.MatchPointsRequest(problems=[_points(chance)]) for _ in range(_REQUEST_COUNT)]
    yield ServedCall("matching.unary", "MatchPoints", [(request, 1) for request in points], send_points)

    def send_boxes(request: pb.MatchBoxesRequest, timeout_s: float) -> int:
        return len(stub.MatchBoxes(request, timeout=timeout_s).matchings)

    boxes = [
        pb.MatchBoxesRequest(problems=[_boxes(chance) for _ in range(scenario.batch_count)])
        for _ in range(_REQUEST_COUNT)
    ]
    batches = [(request, len(request.problems)) for request in boxes]
    yield ServedCall("matching.batch", "MatchBoxes", batches, send_boxes)

    def send_evaluation(messages: Sequence[pb.EvaluateRequest], timeout_s: float) -> int:
        return int(stub.Evaluate(iter(messages), timeout=timeout_s).image_count)

    sets = [_evaluation(chance, scenario.stream_count) for _ in range(_REQUEST_COUNT)]
    yield ServedCall("matching.stream", "Evaluate", [(messages, len(messages)) for messages in sets], send_evaluation)


def _points(chance: random.Random) -> pb.PointsProblem:
    a_xy = [chance.uniform(0, _FIELD_PX) for _ in range(2 * chance.choice(_SIZES))]
    b_xy = [value + chance.gauss(0, 3) for value in a_xy]
    return pb.PointsProblem(a_xy=a_xy, b_xy=b_xy, radius=12)


def _boxes(chance: random.Random) -> pb.BoxesProblem:
    a_xyxy = _corners(chance, chance.choice(_SIZES))
    b_xyxy = [value + chance.uniform(-2, 2) for value in a_xyxy]
    return pb.BoxesProblem(a_xyxy=a_xyxy, b_xyxy=b_xyxy, threshold=0.3)


def _evaluation(chance: random.Random, count: int) -> Sequence[pb.EvaluateRequest]:
    """Return the messages of one evaluation, a picture in each, the options in the first."""
    names = ("cell", "nucleus", "debris")
    labels = [model_pb2.Label(id=label_id, name=name) for label_id, name in enumerate(names)]
    messages = [pb.EvaluateRequest(images=[_scored_picture(chance, f"{index}")]) for index in range(count)]
    messages[0].options.labels.extend(labels)
    return messages


def _scored_picture(chance: random.Random, image_id: str) -> pb.EvaluationImage:
    truth = _corners(chance, 20)
    class_ids = [chance.randrange(3) for _ in range(20)]
    return pb.EvaluationImage(
        image_id=image_id,
        truth_xyxy_px=truth,
        truth_class_ids=class_ids,
        detection_xyxy_px=[value + chance.uniform(-3, 3) for value in truth],
        detection_class_ids=class_ids,
        detection_scores=[chance.uniform(0.5, 1.0) for _ in range(20)],
    )


def _corners(chance: random.Random, count: int) -> list[float]:
    """Return boxes of 20 to 80 pixels a side, x1, y1, x2, y2, one after the other."""
    corners: list[float] = []
    for _ in range(count):
        x, y = chance.uniform(0, _FIELD_PX), chance.uniform(0, _FIELD_PX)
        corners += [x, y, x + chance.uniform(20, 80), y + chance.uniform(20, 80)]
    return corners
