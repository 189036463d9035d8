"""The blocking client of matching against a real server; what all clients do is tested in `test_service_client`."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import grpc
import numpy as np
import pytest

from retinue.client.errors import CallFailed, DeadlinePassed
from retinue.client.evaluation_request import EvaluationImage
from retinue.client.matching import MatchingClient
from retinue.client.matching_problems import AssignmentProblem, PointsProblem
from retinue.client.tracking_request import TrackFrame
from retinue.common.v1 import geometry_pb2, model_pb2
from retinue.matching.v1 import matching_pb2 as pb
from retinue.ops import rle_encode
from tests.unit.client.scripted_matching import RunningMatching

BOX = [0.0, 0.0, 4.0, 4.0]

Ask = Callable[[MatchingClient], Any]
EACH: dict[str, Ask] = {
    "points": lambda client: client.match_points([[0, 0]], [[1, 1]], 2),
    "boxes": lambda client: client.match_boxes([BOX], [BOX]),
    "instances": lambda client: client.match_instances(np.eye(3, dtype=int), np.eye(3, dtype=int)),
    "assignment": lambda client: client.assign([[1.0]]),
    "detr": lambda client: client.match_detr([[1.0]], [BOX], [0], [BOX]),
}


def request_of(served: RunningMatching) -> Any:
    (request,) = served.service.requests
    return request


@pytest.mark.parametrize("kind", EACH)
def test_each_answer_has_its_pairs_as_arrays(matcher: MatchingClient, kind: str) -> None:
    found = EACH[kind](matcher)
    pairs = found.pairs
    assert [part.tolist() for part in (pairs.a, pairs.b, pairs.unpaired_a, pairs.unpaired_b)] == [
        [0, 2],
        [1, 0],
        [1],
        [2, 3],
    ]
    assert {part.dtype for part in (pairs.a, pairs.b, pairs.unpaired_a, pairs.unpaired_b)} == {np.dtype(np.int64)}
    assert (len(pairs), found.solve_time_s) == (2, 0.001)


def test_points_are_sent_and_read(matcher: MatchingClient, served_matching: RunningMatching) -> None:
    found = matcher.match_points(
        np.array([[1, 2], [3, 4]], np.int16), np.zeros((0, 2)), 12, mode="hovernet_compat", request_id="r-1"
    )
    assert request_of(served_matching) == pb.MatchPointsRequest(
        problems=[pb.PointsProblem(a_xy=[1, 2, 3, 4], radius=12, mode=pb.MATCH_MODE_HOVERNET_COMPAT)]
    )
    assert served_matching.service.metadata[0]["x-request-id"] == "r-1"
    assert found.distances.tolist() == [0.5, 1.25]
    assert (found.scores.precision, found.scores.recall, found.scores.f1) == (0.5, 0.75, None)


def test_what_is_left_out_is_left_to_the_service(matcher: MatchingClient, served_matching: RunningMatching) -> None:
    matcher.match_boxes([BOX], [])
    problem = request_of(served_matching).problems[0]
    assert problem == pb.BoxesProblem(a_xyxy=BOX)
    assert not problem.HasField("threshold")


def test_boxes_are_sent_with_their_classes(matcher: MatchingClient, served_matching: RunningMatching) -> None:
    found = matcher.match_boxes([BOX], [BOX, BOX], 0.0, metric="giou", a_class_ids=[3], b_class_ids=np.array([3, 4]))
    assert request_of(served_matching).problems[0] == pb.BoxesProblem(
        a_xyxy=BOX,
        b_xyxy=BOX * 2,
        a_class_ids=[3],
        b_class_ids=[3, 4],
        metric=pb.BOX_METRIC_GIOU,
        threshold=0.0,
        is_class_aware=True,
    )
    assert found.similarities.tolist() == [0.5, 0.75]


@pytest.mark.parametrize(("most", "depth"), [(255, np.uint8), (256, np.uint16), (65535, np.uint16)])
def test_label_maps_travel_as_png(
    matcher: MatchingClient, served_matching: RunningMatching, most: int, depth: Any
) -> None:
    labels = np.zeros((5, 7), np.int64)
    labels[1:3, 2:4] = most
    found = matcher.match_instances(labels, b"a PNG", 0.25)
    problem = request_of(served_matching).problems[0]
    read = cv2.imdecode(np.frombuffer(problem.a.label_map_png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert read is not None
    assert read.dtype == depth
    np.testing.assert_array_equal(read, labels)
    assert (problem.b.label_map_png, problem.iou_threshold) == (b"a PNG", 0.25)
    assert (found.panoptic_quality, found.aji, found.aji_plus, found.dice) == (0.25, 0.125, None, 0.0)
    assert (found.ious.tolist(), found.a_values.tolist(), found.b_values.tolist()) == ([0.5, 0.75], [3, 7, 9], [])


def test_masks_travel_as_run_lengths(matcher: MatchingClient, served_matching: RunningMatching) -> None:
    masks = np.zeros((2, 4, 3), bool)
    masks[0, 1:3, 1] = masks[1, :, 2] = True
    matcher.match_instances(masks, [rle_encode(mask) for mask in masks])
    problem = request_of(served_matching).problems[0]
    assert problem.a == problem.b
    assert problem.a.mask_list.masks[0] == geometry_pb2.CocoRle(height=4, width=3, counts=b"525")
    matcher.match_instances(masks[:0], [])
    empty = served_matching.service.requests[1].problems[0]
    assert (empty.a.WhichOneof("form"), empty.b.WhichOneof("form")) == ("mask_list", "mask_list")


def test_costs_travel_packed(matcher: MatchingClient, served_matching: RunningMatching) -> None:
    found = matcher.assign([[1.0, np.inf, 3.0], [4.0, 5.0, 6.0]], max_cost=5, maximize=True)
    problem = request_of(served_matching).problems[0]
    assert np.frombuffer(problem.cost_matrix.raw_costs, "<f4").tolist() == [1, np.inf, 3, 4, 5, 6]
    assert (problem.cost_matrix.row_count, problem.cost_matrix.column_count, problem.max_cost) == (2, 3, 5)
    assert problem.is_maximized
    assert (found.costs.tolist(), found.total_cost) == ([0.5, 1.5], 2.0)


def test_queries_and_targets_are_sent(matcher: MatchingClient, served_matching: RunningMatching) -> None:
    matcher.match_detr(np.full((2, 3), 0.25), [[0.5, 0.5, 0.25, 0.25]] * 2, [2], [BOX], class_weight=0, giou_weight=3)
    assert request_of(served_matching).problems[0] == pb.DetrProblem(
        class_count=3,
        class_probabilities=[0.25] * 6,
        boxes_cxcywh_norm=[0.5, 0.5, 0.25, 0.25] * 2,
        target_class_ids=[2],
        target_boxes_cxcywh_norm=BOX,
        class_weight=0,
        giou_weight=3,
    )


def test_several_problems_go_by_one_call(matcher: MatchingClient, served_matching: RunningMatching) -> None:
    problems = [PointsProblem([[0, 0]], [], radius) for radius in (0, 1, 2)]
    assert len(matcher.match_points_batch(problems)) == 3
    assert [problem.radius for problem in request_of(served_matching).problems] == [0, 1, 2]


def test_no_problems_need_no_call(matcher: MatchingClient, served_matching: RunningMatching) -> None:
    assert matcher.assign_batch([]) == []
    assert served_matching.service.requests == []


def test_answers_that_do_not_fit_the_problems_are_a_failure(
    matcher: MatchingClient, served_matching: RunningMatching
) -> None:
    served_matching.service.answers["points"] = []
    with pytest.raises(CallFailed, match="0 answers to 1 problems") as raised:
        EACH["points"](matcher)
    assert raised.value.reason == "BATCH_BROKEN"


@pytest.mark.parametrize("kind", EACH)
def test_a_refusal_is_raised(matcher: MatchingClient, served_matching: RunningMatching, kind: str) -> None:
    served_matching.service.answers[kind] = grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(CallFailed, match="as the test wants it"):
        EACH[kind](matcher)


WRONG_NAME: Any = "wrong"
WRONG: list[tuple[Ask, str]] = [
    (lambda client: client.match_points([[0, 0, 0]], [], 1), "^a has shape"),
    (lambda client: client.match_points([[0, 0], [1]], [], 1), "^a is ragged"),
    (lambda client: client.match_points([], [["x", "y"]], 1), "^b has dtype"),
    (lambda client: client.match_points([], [], -1), "radius"),
    (lambda client: client.match_points([], [], float("nan")), "radius"),
    (lambda client: client.match_points([], [], 1, mode=WRONG_NAME), "mode is 'wrong'"),
    (lambda client: client.match_points([], [], 1, timeout_s=0), "timeout_s"),
    (lambda client: client.match_boxes([[0, 0]], []), "^a has shape"),
    (lambda client: client.match_boxes([BOX], [BOX], 1.5), "threshold"),
    (lambda client: client.match_boxes([BOX], [BOX], -0.5), r"threshold is -0.5, must be in \[0, 1\]"),
    (lambda client: client.match_boxes([BOX], [BOX], -1.5, metric="giou"), "threshold"),
    (lambda client: client.match_boxes([BOX], [BOX], metric=WRONG_NAME), "metric"),
    (lambda client: client.match_boxes([BOX], [BOX], a_class_ids=[1]), "together"),
    (lambda client: client.match_boxes([BOX], [BOX], a_class_ids=[1.5], b_class_ids=[1]), "a_class_ids has dtype"),
    (lambda client: client.match_boxes([BOX], [BOX], a_class_ids=[2**31], b_class_ids=[1]), "32 bits"),
    (lambda client: client.match_instances(np.zeros((2, 2)), b""), "^a is float64"),
    (lambda client: client.match_instances(b"", np.zeros((0, 2), int)), "^b is int64"),
    (lambda client: client.match_instances(np.array([[-1]]), b""), "from -1"),
    (lambda client: client.match_instances(np.array([[65536]]), b""), "0 to 65535"),
    (lambda client: client.match_instances(b"", b"", 1.0), "iou_threshold"),
    (lambda client: client.assign([1.0]), "cost is"),
    (lambda client: client.assign([[1j]]), "cost is complex128"),
    (lambda client: client.assign([[1e300]]), "beyond float32"),
    (lambda client: client.assign([[1.0]], max_cost=float("inf")), "max_cost"),
    (lambda client: client.match_detr([0.5], [], [], []), "class_probabilities"),
    (lambda client: client.match_detr([[0.5]], [BOX], [], [], box_weight=-1), "box_weight"),
    (lambda client: client.evaluate([], iou_thresholds=[0.0]), "IoU threshold is 0.0"),
    (lambda client: client.evaluate([], confusion_score_threshold=2), "confusion_score_threshold"),
    (lambda client: client.track([], max_tracks=0), "max_tracks"),
    (lambda client: client.track([], max_lost_frames=-1), "max_lost_frames"),
    (lambda client: client.track([], low_iou_threshold=1.5), "low_iou_threshold"),
    (lambda client: client.track([], max_in_flight=0), "max_in_flight"),
]


@pytest.mark.parametrize(("ask", "complaint"), WRONG)
def test_nothing_is_sent_of_what_cannot_be(
    matcher: MatchingClient, served_matching: RunningMatching, ask: Ask, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        ask(matcher)
    assert served_matching.service.requests == []


def test_keywords_that_are_not_known_are_refused(matcher: MatchingClient) -> None:
    wrong: Any = {"model": "x"}
    for ask in (
        lambda: matcher.match_points([], [], 1, **wrong),
        lambda: matcher.evaluate([], **wrong),
        lambda: matcher.track([], **wrong),
    ):
        with pytest.raises(TypeError, match="unknown keyword model"):
            ask()
    with pytest.raises(TypeError, match="must be a label map"):
        matcher.match_instances([[1]], b"")  # type: ignore[list-item]  # the point of the test


def test_what_is_above_the_message_limit_is_not_sent(served_matching: RunningMatching) -> None:
    with MatchingClient(served_matching.address, max_message_bytes=1000) as client:
        with pytest.raises(ValueError, match="at most 1000 are sent"):
            client.assign_batch([AssignmentProblem(np.zeros((20, 20)))])
        with pytest.raises(ValueError, match=r"picture 'a' has .* at most 1000"):
            client.evaluate([EvaluationImage(truth_boxes=[BOX] * 100, truth_class_ids=[0] * 100, image_id="a")])


# --- evaluate


def picture(name: str, box_count: int = 1) -> EvaluationImage:
    boxes = [BOX] * box_count
    return EvaluationImage(boxes, [1] * box_count, boxes, [4] * box_count, [0.5] * box_count, image_id=name)


def test_an_evaluation_arrives_as_values(matcher: MatchingClient) -> None:
    found = matcher.evaluate([picture("a")])
    assert (found.summary.ap, found.summary.ap50, found.summary.ap75, found.summary.ap_large) == (0.5, 0.75, None, 0.0)
    coin, other = found.classes
    assert (coin.label.class_id, coin.label.name, coin.truth_count, coin.detection_count) == (1, "coin", 7, 9)
    assert (coin.sensitivity, coin.specificity, other.sensitivity, other.specificity) == (0.5, None, None, 0.25)
    assert [curve.iou_threshold for curve in coin.curves] == [0.5, 0.75]
    assert coin.curves[0].precisions.shape == coin.curves[0].scores.shape == (101,)
    assert found.confusion.tolist() == [[5, 0, 2], [0, 0, 0], [3, 1, 0]]
    assert [label.class_id for label in found.confusion_labels] == [1, 4]
    assert (found.image_count, found.solve_time_s) == (3, 0.001)


def test_an_empty_evaluation_is_an_answer(matcher: MatchingClient, served_matching: RunningMatching) -> None:
    served_matching.service.answers["evaluation"] = pb.EvaluateResponse()
    found = matcher.evaluate([])
    assert (found.summary.ap, found.classes, found.confusion.tolist()) == (None, (), [[0]])
    assert request_of(served_matching) == pb.EvaluateRequest(options=pb.EvaluationOptions())


def test_pictures_and_options_reach_the_service(matcher: MatchingClient, served_matching: RunningMatching) -> None:
    image = EvaluationImage(
        truth_boxes=[BOX],
        truth_class_ids=[1],
        truth_areas=[9],
        truth_are_crowds=[True],
        boxes=[BOX, BOX],
        class_ids=[1, 2],
        scores=[0.5, -3],
        image_id="a",
    )
    matcher.evaluate(
        iter([image, EvaluationImage(image_id="b")]),
        labels={1: "coin", 2: "cell"},
        iou_thresholds=[0.5],
        confusion_iou_threshold=0.25,
        confusion_score_threshold=0.0,
        return_curves=True,
    )
    assert request_of(served_matching) == pb.EvaluateRequest(
        options=pb.EvaluationOptions(
            labels=[model_pb2.Label(id=1, name="coin"), model_pb2.Label(id=2, name="cell")],
            iou_thresholds=[0.5],
            confusion_iou_threshold=0.25,
            confusion_score_threshold=0.0,
            return_curves=True,
        ),
        images=[
            pb.EvaluationImage(
                image_id="a",
                truth_xyxy_px=BOX,
                truth_class_ids=[1],
                truth_areas_px=[9],
                truth_is_crowd=[True],
                detection_xyxy_px=BOX * 2,
                detection_class_ids=[1, 2],
                detection_scores=[0.5, -3],
            ),
            pb.EvaluationImage(image_id="b"),
        ],
    )


def test_pictures_travel_in_messages_of_bounded_size(served_matching: RunningMatching) -> None:
    with MatchingClient(served_matching.address, max_message_bytes=5000) as client:
        client.evaluate((picture(str(number), 20) for number in range(100)), labels={1: "coin"})
    requests = served_matching.service.requests
    names = [image.image_id for request in requests for image in request.images]
    assert names == [str(number) for number in range(100)]
    assert len(requests) > 20
    assert max(request.ByteSize() for request in requests) <= 5000
    assert [request.HasField("options") for request in requests] == [True] + [False] * (len(requests) - 1)


def test_an_endless_source_ends_with_the_refusal_of_a_picture(
    matcher: MatchingClient, served_matching: RunningMatching
) -> None:
    def refuse(request: pb.EvaluateRequest, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "images[0]: no")

    served_matching.service.on_pictures = refuse
    with pytest.raises(CallFailed, match="no") as raised:
        matcher.evaluate(picture(str(number), 500) for number in itertools.count())
    assert raised.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_what_the_source_raises_is_raised(matcher: MatchingClient, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Iterator[EvaluationImage]:
        yield picture("a")
        raise KeyError("the disk is gone")

    with pytest.raises(KeyError, match="the disk is gone"):
        matcher.evaluate(broken())
    with pytest.raises(ValueError, match="'b': scores has 0 entries for 1 boxes"):
        matcher.evaluate([picture("a"), EvaluationImage(boxes=[BOX], class_ids=[1], image_id="b")])
    assert caplog.records == [], "gRPC did not see it"


def test_an_evaluation_has_the_deadline_of_a_stream(served_matching: RunningMatching) -> None:
    with MatchingClient(served_matching.address, timeout_s=5.0, stream_timeout_s=50.0) as client:
        client.evaluate([])
        client.evaluate([], timeout_s=7.0)
    first, second = served_matching.service.times_remaining_s
    assert first is not None
    assert second is not None
    assert 48 < first < 51
    assert 5 < second < 7.1


# --- track


def frame(index: int, count: int = 1) -> TrackFrame:
    return TrackFrame(index, [BOX] * count, [0.5] * count)


def test_each_frame_has_its_tracks(matcher: MatchingClient, served_matching: RunningMatching) -> None:
    frames = [TrackFrame(3, [BOX, [1.0, 2.0, 3.0, 4.0]], [0.5, 0.25], [7, 7]), TrackFrame(5, [], [])]
    first, second = matcher.track(
        frames,
        high_score_threshold=0.5,
        low_score_threshold=0.0,
        new_track_score_threshold=0.5,
        high_iou_threshold=0.0,
        low_iou_threshold=1.0,
        max_lost_frames=0,
        min_seen_frames=2,
        max_tracks=9,
        class_aware=True,
        request_id="r-1",
    )
    assert (first.frame_index, first.track_ids.tolist(), first.detection_indices.tolist()) == (3, [1, 2], [0, 1])
    assert first.boxes.tolist() == [BOX, [1, 2, 3, 4]]
    assert (first.scores.tolist(), first.class_ids.tolist(), first.ages_frames.tolist()) == (
        [0.5, 0.25],
        [7, 7],
        [4, 4],
    )
    assert first.ended_track_ids.tolist() == [9]
    assert (second.frame_index, second.track_ids.shape, second.boxes.shape) == (5, (0,), (0, 4))
    options, one, _ = served_matching.service.requests
    assert options == pb.TrackRequest(
        options=pb.TrackOptions(
            high_score_threshold=0.5,
            low_score_threshold=0.0,
            new_track_score_threshold=0.5,
            high_iou_threshold=0.0,
            low_iou_threshold=1.0,
            max_lost_frames=0,
            min_seen_frames=2,
            max_tracks=9,
            is_class_aware=True,
        )
    )
    assert one == pb.TrackRequest(
        frame=pb.TrackFrame(frame_index=3, boxes_xyxy_px=[*BOX, 1, 2, 3, 4], scores=[0.5, 0.25], class_ids=[7, 7])
    )
    assert served_matching.service.metadata[0]["x-request-id"] == "r-1"


def test_options_that_are_left_out_are_left_to_the_service(
    matcher: MatchingClient, served_matching: RunningMatching
) -> None:
    assert list(matcher.track([])) == []
    assert request_of(served_matching) == pb.TrackRequest(options=pb.TrackOptions())


def test_an_endless_source_is_taken_from_no_further_than_the_window(
    matcher: MatchingClient, served_matching: RunningMatching
) -> None:
    taken = itertools.count()
    answers = matcher.track((frame(index) for index in taken), max_in_flight=4)
    assert [next(answers).frame_index for _ in range(20)] == list(range(20))
    assert next(taken) <= 25
    answers.close()


def test_a_frame_that_cannot_be_sent_ends_the_stream(matcher: MatchingClient) -> None:
    with pytest.raises(ValueError, match=r"boxes has shape \[1, 1\]"):
        list(matcher.track([frame(0), TrackFrame(1, [[1.0]], [0.5])]))
    with pytest.raises(ValueError, match="frame_index"):
        list(matcher.track([frame(-1)]))


def test_a_frame_that_is_refused_ends_the_stream(matcher: MatchingClient, served_matching: RunningMatching) -> None:
    def refuse(request: pb.TrackRequest) -> pb.TrackResponse | None:
        raise RuntimeError("a fault of the service")

    served_matching.service.on_tracked = refuse
    with pytest.raises(CallFailed, match="UNKNOWN"):
        list(matcher.track([frame(0)]))


def test_a_service_that_does_not_answer_is_late(matcher: MatchingClient, served_matching: RunningMatching) -> None:
    served_matching.service.on_tracked = lambda _: None
    with pytest.raises(DeadlinePassed):
        list(matcher.track(map(frame, itertools.count()), timeout_s=0.1))
