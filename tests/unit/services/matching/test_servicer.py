"""The edge: what each RPC answers, and what it refuses and how."""

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from retinue.common.v1.model_pb2 import Label
from retinue.matching.v1 import matching_pb2 as pb
from retinue.ops import Rle, rle_to_string
from tests.unit.services.matching.pngs import built, png_of
from tests.unit.serving.hosted import Run
from tests.unit.serving.in_process import error_info_of, status_of, violations_of

INF, NAN = float("inf"), float("nan")
SQUARE = [0.0, 0.0, 2.0, 2.0]
MASK = {"height": 1, "width": 4, "counts": rle_to_string(Rle(1, 4, np.array([1, 2, 1])))}
METHODS = {
    "points": ("MatchPoints", pb.MatchPointsRequest, pb.PointsProblem),
    "boxes": ("MatchBoxes", pb.MatchBoxesRequest, pb.BoxesProblem),
    "instances": ("MatchInstances", pb.MatchInstancesRequest, pb.InstancesProblem),
    "assign": ("Assign", pb.AssignRequest, pb.AssignmentProblem),
    "detr": ("MatchDetr", pb.MatchDetrRequest, pb.DetrProblem),
}
GOOD: dict[str, dict[str, Any]] = {
    "points": {"a_xy": [0, 0], "b_xy": [1, 0], "radius": 2},
    "boxes": {"a_xyxy": SQUARE, "b_xyxy": SQUARE},
    "instances": {"a": {"mask_list": {"masks": [MASK]}}, "b": {"mask_list": {"masks": [MASK]}}},
    "assign": {"cost_matrix": {"row_count": 1, "column_count": 2, "costs": [3, 2]}},
    "detr": {
        "class_count": 2,
        "class_probabilities": [0.25, 0.75],
        "boxes_cxcywh_norm": [0.5, 0.5, 0.2, 0.2],
        "target_class_ids": [1],
        "target_boxes_cxcywh_norm": [0.5, 0.5, 0.2, 0.2],
    },
}


def ask(stub: Any, kind: str, *problems: dict[str, Any]) -> Any:
    method, request, problem = METHODS[kind]
    return getattr(stub, method)(request(problems=[problem(**fields) for fields in problems]), timeout=20)


# --- what is answered


def test_points_are_answered_with_pairs_distances_and_scores(stub: Any) -> None:
    given = {"a_xy": [12, 10, 1, 0], "b_xy": [17, 15, 16, 10], "radius": 6}
    response = ask(stub, "points", given, given | {"mode": pb.MATCH_MODE_HOVERNET_COMPAT})
    first, second = response.matchings
    assert (list(first.pairs.a), list(first.pairs.b)) == ([0], [1])
    assert (list(first.pairs.unpaired_a), list(first.pairs.unpaired_b)) == ([1], [0])
    assert list(first.distances) == [4.0]
    assert (first.scores.precision, first.scores.recall, first.scores.f1) == (0.5, 0.5, 0.5)
    assert (list(second.pairs.unpaired_a), second.scores.f1) == ([0, 1], 0.0)
    assert response.solve_time.ToNanoseconds() > 0


@pytest.mark.parametrize(
    ("a_xy", "b_xy", "there"),
    [
        ([], [], set()),
        ([], [1, 1], {"precision", "f1"}),
        ([1, 1], [], {"recall", "f1"}),
        ([1, 1], [1, 1], {"precision", "recall", "f1"}),
    ],
)
def test_scores_are_absent_where_they_are_undefined(stub: Any, a_xy: Any, b_xy: Any, there: set[str]) -> None:
    (matching,) = ask(stub, "points", {"a_xy": a_xy, "b_xy": b_xy, "radius": 0}).matchings
    assert matching.HasField("scores")
    assert {field.name for field, _ in matching.scores.ListFields()} == there


def test_boxes_are_answered_with_pairs_and_likeness(stub: Any) -> None:
    given: dict[str, Any] = {"a_xyxy": SQUARE, "b_xyxy": [1, 0, 3, 2, 0, 0, 2, 1]}
    loose, strict = ask(stub, "boxes", given, given | {"threshold": 0.6}).matchings
    assert (list(loose.pairs.b), list(loose.similarities), loose.scores.recall) == ([1], [0.5], 1.0)
    assert list(strict.pairs.unpaired_b) == [0, 1]
    classes = {"is_class_aware": True, "a_class_ids": [3], "b_class_ids": [3, 4], "threshold": 0.0}
    (aware,) = ask(stub, "boxes", given | classes).matchings
    assert list(aware.pairs.b) == [0]
    assert list(aware.similarities) == pytest.approx([1 / 3])


def test_instances_are_answered_with_all_figures_and_their_values(stub: Any) -> None:
    a = {"label_map_png": png_of(np.array([[0, 9, 9, 5]], np.uint8))}
    (found,) = ask(stub, "instances", {"a": a, "b": {"mask_list": {"masks": [MASK]}}}).matchings
    assert (list(found.a_values), list(found.b_values)) == ([5, 9], [])
    assert (list(found.pairs.a), list(found.pairs.unpaired_a), list(found.ious)) == ([1], [0], [1.0])
    assert found.recognition_quality == found.panoptic_quality == pytest.approx(2 / 3)
    assert found.segmentation_quality == 1.0
    assert (found.aji, found.aji_plus, found.dice) == (2 / 3, 2 / 3, 0.8)


def test_figures_of_two_empty_segmentations_are_absent(stub: Any) -> None:
    empty: dict[str, Any] = {"mask_list": {}}
    blank = {"label_map_png": png_of(np.zeros((3, 3), np.uint8))}
    for given in ({"a": empty, "b": empty}, {"a": blank, "b": blank}, {"a": blank, "b": empty}):
        (found,) = ask(stub, "instances", given).matchings
        assert {field.name for field, _ in found.ListFields()} == {"pairs", "scores"}
        assert not found.scores.ListFields()
    (zero,) = ask(stub, "instances", {"a": GOOD["instances"]["a"], "b": empty}).matchings
    assert zero.HasField("aji")
    assert (zero.panoptic_quality, zero.segmentation_quality, zero.aji, zero.dice) == (0, 0, 0, 0)


def test_costs_are_read_in_both_forms(stub: Any) -> None:
    costs = np.array([[4, 1, INF], [2, 0, 5]], np.float32)
    shape = {"row_count": 2, "column_count": 3}
    listed = {"cost_matrix": shape | {"costs": costs.ravel()}}
    raw = {"cost_matrix": shape | {"raw_costs": costs.tobytes()}}
    response = ask(stub, "assign", listed, raw, listed | {"max_cost": 1.0})
    first, second, bounded = response.assignments
    assert first == second
    assert (list(first.pairs.a), list(first.pairs.b), list(first.costs), first.total_cost) == (
        [0, 1],
        [1, 0],
        [1, 2],
        3,
    )
    assert (list(first.pairs.unpaired_a), list(first.pairs.unpaired_b)) == ([], [2])
    assert (list(bounded.pairs.a), bounded.total_cost) == ([1], 0)


def test_an_empty_matrix_has_no_pairs(stub: Any) -> None:
    nothing, wide = ask(stub, "assign", {"cost_matrix": {}}, {"cost_matrix": {"column_count": 3}}).assignments
    assert (list(nothing.pairs.unpaired_b), nothing.total_cost) == ([], 0)
    assert list(wide.pairs.unpaired_b) == [0, 1, 2]


def test_queries_and_targets_are_answered_with_costs(stub: Any) -> None:
    first, unweighted, empty = ask(
        stub, "detr", GOOD["detr"], GOOD["detr"] | {"class_weight": 0.0}, {"class_count": 1}
    ).matchings
    assert (list(first.pairs.a), first.total_cost) == ([0], pytest.approx(-2.75))
    assert unweighted.total_cost == pytest.approx(-2.0)
    assert (list(empty.pairs.a), empty.total_cost) == ([], 0)


@pytest.mark.parametrize("kind", ["points", "assign"])
def test_large_problems_are_answered_like_small_ones(stub: Any, kind: str) -> None:
    rng = np.random.default_rng(0)
    sizes: dict[str, dict[str, Any]] = {
        "points": {"a_xy": rng.random(40), "b_xy": rng.random(40), "radius": 9},
        "assign": {"cost_matrix": {"row_count": 20, "column_count": 20, "costs": rng.random(400)}},
    }
    response = ask(stub, kind, GOOD[kind], sizes[kind])
    _, found = response.matchings if kind == "points" else response.assignments
    assert len(found.pairs.a) == 20


# --- what is refused


LONG = "x" * 257
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("points", {"a_xy": [1, 2, 3]}, "a_xy"),
    ("points", {"b_xy": [1, NAN]}, "b_xy"),
    ("points", {"b_xy": [-INF, 1]}, "b_xy"),
    ("points", {"radius": None}, "radius"),
    ("points", {"radius": -1}, "radius"),
    ("points", {"radius": NAN}, "radius"),
    ("points", {"radius": INF}, "radius"),
    ("points", {"mode": 9}, "mode"),
    ("boxes", {"a_xyxy": [1, 2, 3]}, "a_xyxy"),
    ("boxes", {"a_xyxy": [2, 0, 1, 1]}, "a_xyxy"),
    ("boxes", {"b_xyxy": [0, 2, 1, 1]}, "b_xyxy"),
    ("boxes", {"b_xyxy": [0, 0, 1, INF]}, "b_xyxy"),
    ("boxes", {"metric": 9}, "metric"),
    ("boxes", {"threshold": -0.1}, "threshold"),
    ("boxes", {"threshold": 1.1}, "threshold"),
    ("boxes", {"threshold": NAN}, "threshold"),
    ("boxes", {"metric": pb.BOX_METRIC_GIOU, "threshold": -1.1}, "threshold"),
    ("boxes", {"is_class_aware": True}, "a_class_ids"),
    ("boxes", {"is_class_aware": True, "a_class_ids": [1], "b_class_ids": [1, 2]}, "b_class_ids"),
    ("boxes", {"a_class_ids": [1]}, "a_class_ids"),
    ("instances", {"a": None}, "a"),
    ("instances", {"b": {}}, "b"),
    ("instances", {"a": {"label_map_png": b"no png"}}, "a.label_map_png"),
    ("instances", {"a": {"label_map_png": built(4, 1, b"")}}, "a.label_map_png"),
    ("instances", {"b": {"label_map_png": built(4, 2, bytes(10))}}, "b"),
    ("instances", {"b": {"mask_list": {"masks": [MASK, MASK | {"height": 0}]}}}, "b.mask_list.masks[1].height"),
    ("instances", {"b": {"mask_list": {"masks": [MASK | {"width": -3}]}}}, "b.mask_list.masks[0].width"),
    ("instances", {"b": {"mask_list": {"masks": [MASK | {"counts": b""}]}}}, "b.mask_list.masks[0].counts"),
    ("instances", {"b": {"mask_list": {"masks": [MASK | {"counts": b"\xff"}]}}}, "b.mask_list.masks[0].counts"),
    ("instances", {"b": {"mask_list": {"masks": [MASK | {"counts": b"0oooooooooo"}]}}}, "b.mask_list.masks[0].counts"),
    ("instances", {"b": {"mask_list": {"masks": [MASK, MASK | {"height": 4, "width": 1}]}}}, "b.mask_list.masks[1]"),
    ("instances", {"b": {"mask_list": {"masks": [MASK | {"height": 4, "width": 1}]}}}, "b"),
    ("instances", {"iou_threshold": 1.0}, "iou_threshold"),
    ("instances", {"iou_threshold": -0.1}, "iou_threshold"),
    ("assign", {"cost_matrix": None}, "cost_matrix"),
    ("assign", {"cost_matrix": {"row_count": -1}}, "cost_matrix.row_count"),
    ("assign", {"cost_matrix": {"column_count": -1}}, "cost_matrix.column_count"),
    ("assign", {"cost_matrix": {"row_count": 1, "column_count": 2, "costs": [1]}}, "cost_matrix.costs"),
    ("assign", {"cost_matrix": {"row_count": 1, "column_count": 1}}, "cost_matrix.costs"),
    ("assign", {"cost_matrix": {"costs": [1]}}, "cost_matrix.costs"),
    ("assign", {"cost_matrix": {"row_count": 1, "column_count": 1, "costs": [NAN]}}, "cost_matrix.costs"),
    ("assign", {"cost_matrix": {"row_count": 1, "column_count": 1, "costs": [-INF]}}, "cost_matrix.costs"),
    ("assign", {"cost_matrix": {"row_count": 1, "column_count": 1, "raw_costs": b"abc"}}, "cost_matrix.raw_costs"),
    (
        "assign",
        {"cost_matrix": {"row_count": 1, "column_count": 1, "raw_costs": b"\0\0\xc0\x7f"}},
        "cost_matrix.raw_costs",
    ),
    (
        "assign",
        {"cost_matrix": {"row_count": 1, "column_count": 1, "raw_costs": bytes(4), "costs": [1]}},
        "cost_matrix.raw_costs",
    ),
    ("assign", {"max_cost": NAN}, "max_cost"),
    ("assign", {"max_cost": INF}, "max_cost"),
    (
        "assign",
        {"cost_matrix": {"row_count": 1, "column_count": 1, "costs": [INF]}, "is_maximized": True},
        "cost_matrix.costs",
    ),
    ("detr", {"class_count": 0}, "class_count"),
    ("detr", {"class_probabilities": [0.5]}, "class_probabilities"),
    ("detr", {"class_probabilities": [0.5, 1.5]}, "class_probabilities"),
    ("detr", {"class_probabilities": [0.5, NAN]}, "class_probabilities"),
    ("detr", {"boxes_cxcywh_norm": [0.5, 0.5, -0.1, 0.2]}, "boxes_cxcywh_norm"),
    ("detr", {"boxes_cxcywh_norm": [0.5, 0.5, 0.1]}, "boxes_cxcywh_norm"),
    ("detr", {"target_boxes_cxcywh_norm": [0.5, 0.5, 0.1, INF]}, "target_boxes_cxcywh_norm"),
    ("detr", {"target_class_ids": [2]}, "target_class_ids"),
    ("detr", {"target_class_ids": [-1]}, "target_class_ids"),
    ("detr", {"target_class_ids": []}, "target_class_ids"),
    ("detr", {"class_weight": -1.0}, "class_weight"),
    ("detr", {"box_weight": NAN}, "box_weight"),
    ("detr", {"giou_weight": INF}, "giou_weight"),
]
ABOVE_LIMIT: list[tuple[str, dict[str, Any], str, str]] = [
    ("points", {"a_xy": [0] * 102}, "a_xy", "50"),
    ("points", {"a_xy": [0] * 70, "b_xy": [0] * 70, "mode": pb.MATCH_MODE_HOVERNET_COMPAT}, "b_xy", "900"),
    ("points", {"a_xy": [0] * 70, "b_xy": [0] * 70}, "radius", "900"),
    ("boxes", {"b_xyxy": SQUARE * 41}, "b_xyxy", "40"),
    ("boxes", {"a_xyxy": SQUARE * 31, "b_xyxy": SQUARE * 31}, "threshold", "900"),
    ("boxes", {"a_xyxy": SQUARE * 31, "b_xyxy": SQUARE * 31, "threshold": 0.0}, "b_xyxy", "900"),
    ("instances", {"a": {"label_map_png": built(1001, 1, b"")}}, "a.label_map_png", "1000"),
    ("instances", {"a": {"mask_list": {"masks": [MASK | {"height": 2**31 - 1}]}}}, "a.mask_list.masks[0]", "1000"),
    ("instances", {"a": {"mask_list": {"masks": [MASK] * 90}}, "b": {"mask_list": {"masks": [MASK] * 11}}}, "b", "900"),
    ("instances", {"a": {"mask_list": {"masks": [MASK] * 20}}, "b": {"mask_list": {"masks": [MASK] * 20}}}, "b", "600"),
    ("assign", {"cost_matrix": {"row_count": 2**31 - 1, "column_count": 2**31 - 1}}, "cost_matrix", "900"),
    ("detr", {"boxes_cxcywh_norm": [0.5] * 164}, "boxes_cxcywh_norm", "40"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "change", "field"), REFUSED)
def test_what_cannot_be_used_is_refused_by_its_field_and_problem(
    stub: Any, kind: str, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask(stub, kind, GOOD[kind], GOOD[kind] | change)
    status = status_of(caught.value)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info_of(status).metadata["field"] == f"problems[1].{field}"
    assert violations_of(status)[0][0] == f"problems[1].{field}"
    assert status.message.startswith(f"problems[1].{field}: ")


@pytest.mark.parametrize(("kind", "change", "field", "limit"), ABOVE_LIMIT)
def test_what_is_above_a_limit_is_refused_with_the_limit(
    stub: Any, kind: str, change: dict[str, Any], field: str, limit: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask(stub, kind, GOOD[kind] | change)
    info = error_info_of(status_of(caught.value))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (info.metadata["field"], info.metadata["limit"]) == (f"problems[0].{field}", limit)
    assert limit in status_of(caught.value).message


@pytest.mark.parametrize("kind", METHODS)
@pytest.mark.parametrize("count", [0, 5])
def test_no_problem_and_too_many_are_refused(stub: Any, kind: str, count: int) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask(stub, kind, *[GOOD[kind]] * count)
    info = error_info_of(status_of(caught.value))
    assert (info.metadata["field"], info.metadata["limit"]) == ("problems", "4")


@pytest.mark.parametrize("kind", METHODS)
def test_as_many_problems_as_may_be_are_answered_in_their_order(stub: Any, kind: str) -> None:
    response = ask(stub, kind, *[GOOD[kind]] * 4)
    found = response.assignments if kind == "assign" else response.matchings
    assert len(found) == 4
    assert all(len(one.pairs.a) == 1 for one in found)


def test_a_damaged_label_map_is_an_invalid_image(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask(stub, "instances", GOOD["instances"] | {"a": {"label_map_png": built(4, 1, b"")}})
    info = error_info_of(status_of(caught.value))
    assert (info.reason, info.metadata["field"]) == ("INVALID_IMAGE", "problems[0].a.label_map_png")


# --- streams


def image(**fields: Any) -> Any:
    given: dict[str, Any] = {
        "truth_xyxy_px": [0, 0, 40, 40],
        "truth_class_ids": [2],
        "detection_xyxy_px": [0, 0, 40, 40],
        "detection_class_ids": [2],
        "detection_scores": [0.9],
    }
    return pb.EvaluationImage(**given | fields)


def test_an_evaluation_is_answered_when_all_pictures_came(stub: Any) -> None:
    options = pb.EvaluationOptions(labels=[Label(id=2, name="cell")], return_curves=True)
    messages = [
        pb.EvaluateRequest(options=options),
        pb.EvaluateRequest(images=[image(), image()]),
        pb.EvaluateRequest(),
    ]
    response = stub.Evaluate(iter(messages), timeout=20)
    assert response.image_count == 2
    assert response.summary.ap == pytest.approx(1)
    assert not response.summary.HasField("ap_small")
    (found,) = response.classes
    assert (found.label.id, found.label.name, found.truth_count, found.detection_count) == (2, "cell", 2, 2)
    assert (found.sensitivity, found.HasField("specificity")) == (1.0, False)
    assert len(found.curves) == 10
    assert list(response.confusion_matrix.counts) == [2, 0, 0, 0]
    assert response.solve_time.ToNanoseconds() > 0


def test_an_evaluation_of_nothing_has_no_figures(stub: Any) -> None:
    response = stub.Evaluate(iter([]), timeout=20)
    assert (response.image_count, list(response.classes)) == (0, [])
    assert not response.summary.ListFields()
    assert list(response.confusion_matrix.counts) == [0]


def test_a_picture_that_cannot_be_used_is_counted_through_the_stream(stub: Any) -> None:
    messages = [pb.EvaluateRequest(images=[image()]), pb.EvaluateRequest(images=[image(), image(truth_class_ids=[])])]
    with pytest.raises(grpc.RpcError) as caught:
        stub.Evaluate(iter(messages), timeout=20)
    assert error_info_of(status_of(caught.value)).metadata["field"] == "images[2].truth_class_ids"


def frame(index: int, *boxes: tuple[float, float, float, float]) -> pb.TrackRequest:
    numbers = [number for box in boxes for number in box]
    return pb.TrackRequest(frame=pb.TrackFrame(frame_index=index, boxes_xyxy_px=numbers, scores=[0.9] * len(boxes)))


def test_things_keep_their_ids_through_frames(stub: Any) -> None:
    """Two things that move apart; the order of the detections changes from frame to frame."""
    frames = [
        frame(index, *[(step, 0, step + 20, 20), (200 - step, 50, 230 - step, 90)][:: 1 if index % 2 else -1])
        for index, step in enumerate(range(0, 40, 4))
    ]
    answers = list(stub.Track(iter(frames), timeout=20))
    assert [answer.frame_index for answer in answers] == list(range(10))
    ids = {tuple(sorted(track.track_id for track in answer.tracks)) for answer in answers}
    assert len(ids) == 1
    assert len(next(iter(ids))) == 2


def test_a_frame_that_cannot_be_used_ends_the_stream_and_is_named(stub: Any) -> None:
    answers = stub.Track(iter([frame(3, (0, 0, 9, 9)), frame(3)]), timeout=20)
    assert next(answers).frame_index == 3
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info_of(status_of(caught.value)).metadata["field"] == "frame.frame_index"


def test_more_tracks_than_are_allowed_end_the_stream(stub: Any) -> None:
    options = pb.TrackRequest(options=pb.TrackOptions(max_tracks=1))
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.Track(iter([options, frame(0, (0, 0, 9, 9), (50, 50, 60, 60))]), timeout=20))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error_info_of(status_of(caught.value)).reason == "LIMIT_EXCEEDED"


# --- what is counted


def samples(served: Run, name: str, problem: str) -> float:
    lines: Iterator[str] = iter(served.get("/metrics")[1].splitlines())
    return next(float(line.split()[-1]) for line in lines if line.startswith(f'{name}{{problem="{problem}"}}'))


def test_problems_and_pairs_are_counted(served: Run, stub: Any) -> None:
    names = (
        "retinue_problem_cells_count",
        "retinue_solve_seconds_count",
        "retinue_pairs_total",
        "retinue_unpaired_total",
    )
    before = [samples(served, name, "assign") for name in (*names, "retinue_problem_cells_sum")]
    ask(stub, "assign", *[GOOD["assign"]] * 3)
    after = [samples(served, name, "assign") for name in (*names, "retinue_problem_cells_sum")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [3, 3, 3, 3, 6]
