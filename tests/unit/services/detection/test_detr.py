"""A detection transformer whose queries are known by heart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from retinue.ops import softmax
from retinue.runtime.errors import BackendFailed, PackageInvalid
from tests.unit.services.detection.tiny_detectors import (
    Recorder,
    answers,
    detr_graph,
    item_of,
    pipeline_of,
    plain,
    write_detr,
)

# ring, disc, cross, no object; the first grows by 4 with the picture's brightest red.
LOGITS = [[0, 3, 1, 0], [-4, 0, 0, 6], [2, 0, 2, 0], [0, 3, 1, 0], [0, 0, 5, 1]]
BOXES = [[0.5, 0.5, 0.5, 0.25], [0.1, 0.1, 0.2, 0.2], [0.25, 0.75, 0.5, 0.5], [0.9, 0.9, 0.4, 0.4], [0.5, 0.5, 2, 2]]
GREY = 51  # the brightest red is a fifth
NAN, INF = float("nan"), float("inf")


def expected_scores(brightness: float) -> Any:
    logits = np.array(LOGITS, np.float32)
    logits[:, 0] += np.float32(4 * brightness)
    return softmax(logits)[:, :-1]


def test_each_query_has_its_best_class_and_no_object_is_none(tmp_path: Path) -> None:
    (found,) = answers(pipeline_of(write_detr(tmp_path, LOGITS, BOXES)), item_of(plain(GREY, 64, 128)))
    scores = expected_scores(0.2)
    best, order = scores.max(axis=1), [4, 0, 3, 2, 1]
    assert found.label_ids.tolist() == [2, 1, 1, 0, 1]
    assert_allclose(found.scores, best[order], rtol=1e-5)
    boxes: Any = [[0, 0, 128, 64], [32, 24, 96, 40], [89.6, 44.8, 128, 64], [0, 32, 64, 64], [0, 0, 25.6, 12.8]]
    assert_allclose(found.boxes, boxes, atol=1e-4)
    dtypes = [part.dtype.name for part in (found.boxes, found.scores, found.label_ids)]
    assert dtypes == ["float32", "float32", "int64"]


def test_equal_scores_stand_in_the_order_of_the_queries(tmp_path: Path) -> None:
    """The first and the fourth are equal."""
    (found,) = answers(pipeline_of(write_detr(tmp_path, LOGITS, BOXES)), item_of(plain(GREY), class_ids=(1,)))
    assert found.scores[0] == found.scores[1]
    assert_allclose(found.boxes[:2, 0], [16, 44.8], atol=1e-4)


@pytest.mark.parametrize(
    ("asked", "labels"),
    [
        ({"class_ids": (0,)}, [0]),
        ({"class_ids": (1, 2)}, [2, 1, 1, 1]),
        ({"class_ids": ()}, []),
        ({"score_threshold": 0.5}, [2, 1, 1, 0]),
        ({"score_threshold": 1.0}, []),
        ({"max_detections": 2}, [2, 1]),
        ({"nms": "hard", "iou_threshold": 0.0, "is_class_agnostic": True}, [2]),
    ],
)
def test_a_caller_gets_what_was_asked_for(tmp_path: Path, asked: dict[str, Any], labels: list[int]) -> None:
    (found,) = answers(pipeline_of(write_detr(tmp_path, LOGITS, BOXES)), item_of(plain(GREY), **asked))
    assert found.label_ids.tolist() == labels


def test_a_class_that_is_second_best_is_not_told_even_if_only_it_is_wanted(tmp_path: Path) -> None:
    (found,) = answers(pipeline_of(write_detr(tmp_path, [[5, 4, 0, 0]], BOXES[:1])), item_of(plain(0), class_ids=(1,)))
    assert len(found.scores) == 0


@pytest.mark.parametrize(("height", "width"), [(64, 100), (63, 64), (201, 67), (1, 1), (1, 2000), (2000, 3)])
def test_boxes_are_shares_of_the_picture_whatever_its_padding(tmp_path: Path, height: int, width: int) -> None:
    (found,) = answers(pipeline_of(write_detr(tmp_path, LOGITS[:1], BOXES[:1])), item_of(plain(GREY, height, width)))
    share = np.array([[0.25, 0.375, 0.75, 0.625]])
    assert_allclose(found.boxes, share * [width, height, width, height], rtol=1e-5)


def test_what_lies_beyond_a_picture_changes_nothing(tmp_path: Path) -> None:
    """A row that held a larger, brighter picture before still holds parts of it."""
    pipeline = pipeline_of(write_detr(tmp_path, LOGITS, BOXES, policy={"size_divisor": 128}))
    small, large = item_of(plain(GREY, 64, 70)), item_of(plain(255, 64, 128))
    rows = pipeline.allocate(pipeline.bucket(small), 1)
    found = []
    for item in (small, large, small):
        assert pipeline.bucket(item) == (128, 128)
        pipeline.prepare(pipeline.decode(item), rows, 0)
        found += pipeline.finish([item], pipeline.run(rows, 1))
    assert_array_equal(found[0].scores, found[2].scores)
    assert found[1].scores[0] != found[0].scores[0]


def test_a_batch_is_one_run(tmp_path: Path) -> None:
    recorder = Recorder(write_detr(tmp_path, LOGITS, BOXES))
    items = [item_of(plain(grey)) for grey in (0, 100, 200)]
    together = answers(recorder.pipeline(), *items)
    assert recorder.backends["model.onnx"].batches == [3]
    for one, grey in zip(together, (0, 100, 200), strict=True):
        assert one.scores.max() == pytest.approx(expected_scores(grey / 255).max(), rel=1e-5)


def test_no_queries_are_no_boxes(tmp_path: Path) -> None:
    pipeline = pipeline_of(write_detr(tmp_path, np.empty((0, 4)), np.empty((0, 4))))
    (found,) = answers(pipeline, item_of(plain()))
    assert (found.boxes.shape, found.label_ids.shape, found.scores.shape) == ((0, 4), (0,), (0,))


def test_a_picture_that_makes_it_answer_nan_is_a_fault_of_the_model(tmp_path: Path) -> None:
    pipeline = pipeline_of(write_detr(tmp_path, LOGITS, BOXES, is_poisonable=True))
    answers(pipeline, item_of(plain(254)))
    with pytest.raises(BackendFailed, match="not finite"):
        answers(pipeline, item_of(plain(255)))


@pytest.mark.parametrize(
    ("logits", "boxes"),
    [
        ([[INF, 0, 0, 0]], BOXES[:1]),
        ([[0, 0, NAN, 0]], BOXES[:1]),
        (LOGITS[:1], [[NAN, 0, 1, 1]]),
        (LOGITS[:1], [[0, 0, -INF, 1]]),
        (LOGITS[:1], [[3e38, 0, 3e38, 1]]),  # finite, and its corners are not
    ],
)
def test_numbers_that_cannot_be_read_are_a_fault_of_the_model(tmp_path: Path, logits: Any, boxes: Any) -> None:
    with pytest.raises(BackendFailed, match=r"not finite|cannot be read"):
        answers(pipeline_of(write_detr(tmp_path, logits, boxes)), item_of(plain(0)))


@pytest.mark.parametrize(
    ("package", "problem"),
    [
        ({"output": {"logits": "scores"}}, "no output scores"),
        ({"output": {"boxes": "rois"}}, "no output rois"),
        ({"policy": {"tensor": "pixels"}}, "no input pixels"),
        ({"policy": {"size_tensor": "mask"}}, "no input mask"),
        ({"policy": {"pixels": "uint8"}}, r"input image is tensor\(float\)"),
        ({"labels": ("ring", "disc")}, r"output logits is .*\[any, any, 3\]"),
        ({"labels": ("ring", "disc", "cross", "star")}, r"output logits is .*\[any, any, 5\]"),
        ({"model": detr_graph(LOGITS, BOXES, inputs={"image": ("float32", [1, "h", "w", 3])})}, "input image"),
        ({"model": detr_graph(LOGITS, BOXES, inputs={"image": ("float32", ["b", 64, 64, 3])})}, "input image"),
        ({"model": detr_graph(LOGITS, BOXES, inputs={"size": ("int64", [1, 2])})}, "input size"),
        ({"model": b"no graph"}, r"model\.onnx cannot be loaded"),
    ],
)
def test_a_graph_that_is_not_what_the_manifest_says_is_refused(
    tmp_path: Path, package: dict[str, Any], problem: str
) -> None:
    folder = write_detr(tmp_path, LOGITS, BOXES, **package)
    with pytest.raises(PackageInvalid, match=problem):
        pipeline_of(folder)
