"""Laws of the matching service, over the wire: answers are those of the operations, and nobody is lost or made up."""

from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retinue.matching.v1 import matching_pb2 as pb
from retinue.matching.v1 import matching_pb2_grpc
from retinue.ops import (
    assign,
    compare_label_maps,
    detr_cost,
    match_boxes,
    pair_points,
    rle_encode_labels,
    rle_to_string,
)
from retinue.serving.settings import GrpcSettings, HttpSettings
from services.matching.__main__ import SERVICE
from services.matching.settings import MatchingSettings, SolvingSettings
from tests.unit.serving.hosted import run_host

COORDINATES = st.floats(-50, 50, allow_nan=False, width=32)
ANYTHING = st.floats(allow_nan=True, allow_infinity=True)
ANSWERED_OR_REFUSED = (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT)
METRICS = {"iou": pb.BOX_METRIC_IOU, "giou": pb.BOX_METRIC_GIOU, "diou": pb.BOX_METRIC_DIOU, "ios": pb.BOX_METRIC_IOS}


@pytest.fixture(scope="module")
def stub() -> Iterator[Any]:
    """A service whose problems of more than 30 cells go to the pool."""
    service_settings = MatchingSettings(
        grpc=GrpcSettings(address="127.0.0.1:0", drain_delay_s=0),
        http=HttpSettings(address="127.0.0.1:0"),
        solving=SolvingSettings(workers=2, max_inline_cells=30),
    )
    with run_host(SERVICE, service_settings) as one:
        one.wait_ready()
        yield matching_pb2_grpc.MatchingServiceStub(one.channel)


def code_of(call: Any, request: Any) -> grpc.StatusCode:
    try:
        call(request)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def points(most: int = 8) -> st.SearchStrategy[np.ndarray]:
    return st.lists(st.tuples(COORDINATES, COORDINATES), max_size=most).map(lambda rows: np.array(rows).reshape(-1, 2))


def boxes() -> st.SearchStrategy[np.ndarray]:
    sides = st.tuples(COORDINATES, COORDINATES, st.integers(0, 60), st.integers(0, 60))
    rows = st.lists(sides.map(lambda one: (one[0], one[1], one[0] + one[2], one[1] + one[3])), max_size=8)
    return rows.map(lambda found: np.array(found, np.float64).reshape(-1, 4))


def check_whole(pairs: pb.Pairs, a_count: int, b_count: int, values: Sequence[float]) -> None:
    """Everybody is in one pair or alone, once; pairs and the rest ascend."""
    assert sorted([*pairs.a, *pairs.unpaired_a]) == list(range(a_count))
    assert sorted([*pairs.b, *pairs.unpaired_b]) == list(range(b_count))
    for ascending in (pairs.a, pairs.unpaired_a, pairs.unpaired_b):
        assert list(ascending) == sorted(ascending)
    assert len(pairs.a) == len(pairs.b) == len(values)


@given(points(), points(), st.floats(0, 80), st.sampled_from(["max", "hovernet"]))
@settings(max_examples=60, deadline=None)
def test_points_are_paired_as_the_operation_pairs_them(stub: Any, a: Any, b: Any, radius: float, mode: Any) -> None:
    named = pb.MATCH_MODE_MAX if mode == "max" else pb.MATCH_MODE_HOVERNET_COMPAT
    problem = pb.PointsProblem(a_xy=a.ravel(), b_xy=b.ravel(), radius=radius, mode=named)
    (matching,) = stub.MatchPoints(pb.MatchPointsRequest(problems=[problem])).matchings
    expected = pair_points(a, b, radius, mode=mode)
    check_whole(matching.pairs, len(a), len(b), matching.distances)
    assert (list(matching.pairs.a), list(matching.pairs.b)) == (expected.index_a.tolist(), expected.index_b.tolist())
    assert list(matching.distances) == expected.values.tolist()


@given(boxes(), boxes(), st.floats(0.001, 1), st.sampled_from(sorted(METRICS)))
@settings(max_examples=60, deadline=None)
def test_boxes_are_paired_as_the_operation_pairs_them(stub: Any, a: Any, b: Any, threshold: float, metric: Any) -> None:
    problem = pb.BoxesProblem(a_xyxy=a.ravel(), b_xyxy=b.ravel(), threshold=threshold, metric=METRICS[metric])
    (matching,) = stub.MatchBoxes(pb.MatchBoxesRequest(problems=[problem])).matchings
    expected = match_boxes(a, b, threshold=threshold, metric=metric)
    check_whole(matching.pairs, len(a), len(b), matching.similarities)
    assert list(matching.similarities) == expected.values.tolist()
    assert all(likeness >= threshold for likeness in matching.similarities)


@given(boxes(), boxes(), st.sampled_from(sorted(METRICS)))
@settings(max_examples=40, deadline=None)
def test_from_the_least_likeness_on_everybody_has_a_partner(stub: Any, a: Any, b: Any, metric: str) -> None:
    least = 0.0 if metric in ("iou", "ios") else -1.0
    problem = pb.BoxesProblem(a_xyxy=a.ravel(), b_xyxy=b.ravel(), threshold=least, metric=METRICS[metric])
    (matching,) = stub.MatchBoxes(pb.MatchBoxesRequest(problems=[problem])).matchings
    check_whole(matching.pairs, len(a), len(b), matching.similarities)
    assert len(matching.pairs.a) == min(len(a), len(b))


@given(st.data(), st.integers(0, 8), st.integers(0, 8), st.booleans())
@settings(max_examples=60, deadline=None)
def test_assignments_are_those_of_the_operation(
    stub: Any,
    data: st.DataObject,
    rows: int,
    columns: int,
    is_maximized: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    worst = -np.inf if is_maximized else np.inf
    cells = st.one_of(st.integers(-9, 9).map(float), st.just(worst))
    costs = np.array(data.draw(st.lists(cells, min_size=rows * columns, max_size=rows * columns)), np.float32)
    costs = costs.reshape(rows, columns)
    bound = data.draw(st.one_of(st.none(), st.integers(-9, 9).map(float)))
    matrix = pb.CostMatrix(row_count=rows, column_count=columns, raw_costs=costs.tobytes())
    problem = pb.AssignmentProblem(cost_matrix=matrix, max_cost=bound, is_maximized=is_maximized)
    (found,) = stub.Assign(pb.AssignRequest(problems=[problem])).assignments
    expected_rows, expected_columns = assign(costs, max_cost=bound, maximize=is_maximized)
    check_whole(found.pairs, rows, columns, found.costs)
    assert (list(found.pairs.a), list(found.pairs.b)) == (expected_rows.tolist(), expected_columns.tolist())
    assert found.total_cost == costs[expected_rows, expected_columns].astype(np.float64).sum()


@given(st.integers(0, 2**32), st.integers(0, 8), st.integers(0, 8))
@settings(max_examples=40, deadline=None)
def test_queries_are_paired_at_the_least_cost(stub: Any, seed: int, queries: int, targets: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.random((queries, 3))
    query_boxes, target_boxes = rng.random((queries, 4)), rng.random((targets, 4))
    classes = rng.integers(0, 3, targets)
    problem = pb.DetrProblem(
        class_count=3,
        class_probabilities=probabilities.ravel(),
        boxes_cxcywh_norm=query_boxes.ravel(),
        target_class_ids=classes,
        target_boxes_cxcywh_norm=target_boxes.ravel(),
    )
    (found,) = stub.MatchDetr(pb.MatchDetrRequest(problems=[problem])).matchings
    cost = detr_cost(probabilities, query_boxes, classes, target_boxes)
    check_whole(found.pairs, queries, targets, found.costs)
    assert len(found.pairs.a) == min(queries, targets)
    assert found.total_cost == pytest.approx(cost[assign(cost)].sum(), abs=1e-5)  # they travel as floats


@given(st.integers(0, 2**32), st.floats(0, 0.99))
@settings(max_examples=40, deadline=None)
def test_instances_are_compared_as_the_operation_compares_them(stub: Any, seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    true, predicted = (rng.integers(0, 5, (6, 7)) for _ in range(2))
    sides = []
    for labels in (true, predicted):
        masks = [{"height": 6, "width": 7, "counts": rle_to_string(rle)} for rle in rle_encode_labels(labels)[1]]
        sides.append(pb.InstanceSet(mask_list={"masks": masks}))  # type: ignore[arg-type]  # protobuf takes dicts
    problem = pb.InstancesProblem(a=sides[0], b=sides[1], iou_threshold=threshold)
    (found,) = stub.MatchInstances(pb.MatchInstancesRequest(problems=[problem])).matchings
    expected = compare_label_maps(true, predicted, threshold=threshold)
    check_whole(found.pairs, len(expected.true_ids), len(expected.predicted_ids), found.ious)
    assert list(found.ious) == expected.pairing.values.tolist()
    assert found.panoptic_quality == expected.quality.panoptic_quality
    assert (found.aji, found.aji_plus, found.dice) == (
        expected.aggregated_jaccard,
        expected.aggregated_jaccard_plus,
        expected.dice,
    )


@given(st.lists(ANYTHING, max_size=6), st.lists(ANYTHING, max_size=6), st.one_of(st.none(), ANYTHING))
@settings(max_examples=80, deadline=None)
def test_any_numbers_are_answered_or_refused_and_never_a_fault(
    stub: Any, a: list[float], b: list[float], scalar: float | None
) -> None:
    side = int(len(a) ** 0.5)
    calls: list[tuple[Any, Any]] = [
        (stub.MatchPoints, pb.MatchPointsRequest(problems=[pb.PointsProblem(a_xy=a, b_xy=b, radius=scalar)])),
        (stub.MatchBoxes, pb.MatchBoxesRequest(problems=[pb.BoxesProblem(a_xyxy=a, b_xyxy=b, threshold=scalar)])),
        (
            stub.Assign,
            pb.AssignRequest(
                problems=[
                    pb.AssignmentProblem(
                        cost_matrix=pb.CostMatrix(row_count=side, column_count=side, costs=a[: side * side]),
                        max_cost=scalar,
                    )
                ]
            ),
        ),
        (
            lambda message: stub.Evaluate(iter([message])),
            pb.EvaluateRequest(
                images=[
                    pb.EvaluationImage(
                        truth_xyxy_px=a,
                        truth_class_ids=[1] * (len(a) // 4),
                        detection_xyxy_px=b,
                        detection_class_ids=[1] * (len(b) // 4),
                        detection_scores=a[: len(b) // 4],
                    )
                ]
            ),
        ),
    ]
    for call, request in calls:
        assert code_of(call, request) in ANSWERED_OR_REFUSED


@given(st.binary(max_size=40), st.integers(-5, 9), st.integers(-5, 9))
@settings(max_examples=80, deadline=None)
def test_any_bytes_are_masks_or_refused(stub: Any, counts: bytes, height: int, width: int) -> None:
    mask = {"height": height, "width": width, "counts": counts}
    listed = pb.InstanceSet(mask_list={"masks": [mask]})  # type: ignore[arg-type]
    png = pb.InstanceSet(label_map_png=b"\x89PNG\r\n\x1a\n" + counts)
    for one in (listed, png):
        request = pb.MatchInstancesRequest(problems=[pb.InstancesProblem(a=one, b=one)])
        assert code_of(stub.MatchInstances, request) in ANSWERED_OR_REFUSED
