"""One-stage detectors of both forms, whose boxes are known by heart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from retinue.runtime.errors import BackendFailed, PackageInvalid
from tests.unit.services.detection.naive_suppression import naive
from tests.unit.services.detection.tiny_detectors import (
    Recorder,
    answers,
    item_of,
    options_with,
    pipeline_of,
    plain,
    write_yolo,
    yolo_graph,
)

NAN, INF = float("nan"), float("inf")
FORMS = ("anchor_free", "anchor_based")
# cx, cy, w, h, then scores of three classes, or objectness and those.
FREE = [[20, 20, 10, 10, 0.5, 0.2, 0.1], [40, 30, 8, 20, 0.1, 0.9, 0.3], [60, 60, 20, 20, 0.0, 0.2, 0.2]]
BASED = [[20, 20, 10, 10, 0.5, 1.0, 0.2, 0.1], [40, 30, 8, 20, 0.9, 0.1, 1.0, 0.3], [60, 60, 20, 20, 0.2, 0, 1, 1]]


def table_of(form: str) -> list[list[float]]:
    return FREE if form == "anchor_free" else BASED


def crowd(form: str, seed: int, count: int = 200) -> NDArray[np.float32]:
    """Return many boxes on 64 x 64, with scores on a grid so that some are equal."""
    rng = np.random.default_rng(seed)
    centres, sizes = rng.integers(0, 65, (count, 2)), rng.integers(1, 30, (count, 2))
    scores = rng.integers(0, 33, (count, 3 if form == "anchor_free" else 4)) / 32
    return np.concatenate([centres, sizes, scores], axis=1).astype(np.float32)


def naive_answer(table: NDArray[np.float32], form: str, **asked: Any) -> tuple[Any, Any, Any]:
    """Return boxes, labels and scores of a white picture as large as the input."""
    options = options_with(**asked)
    boxes, labels, scores = [], [], []
    for cx, cy, width, height, *rest in table.tolist():
        classes = rest if form == "anchor_free" else rest[1:]
        label = classes.index(max(classes))
        score = max(classes) if form == "anchor_free" else rest[0] * max(classes)
        is_wanted = options.class_ids is None or label in options.class_ids
        if score >= options.score_threshold and is_wanted:
            boxes.append([cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2])
            labels.append(label)
            scores.append(score)
    kept, left = naive(boxes, labels, scores, options)
    cut = [[min(max(side, 0), 64) for side in boxes[i]] for i in kept]
    return np.reshape(cut, (-1, 4)), [labels[i] for i in kept], left


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch", ["batch", 1, 2])
def test_both_forms_tell_the_same(tmp_path: Path, form: str, batch: int | str) -> None:
    (found,) = answers(pipeline_of(write_yolo(tmp_path, table_of(form), form, batch=batch)), item_of(plain()))
    assert found.boxes.tolist() == [[36, 20, 44, 40], [15, 15, 25, 25], [50, 50, 64, 64]]
    assert found.label_ids.tolist() == [1, 0, 1]
    assert_allclose(found.scores, [0.9, 0.5, 0.2], rtol=1e-6)
    dtypes = [part.dtype.name for part in (found.boxes, found.scores, found.label_ids)]
    assert dtypes == ["float32", "float32", "int64"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"nms": "hard"},
        {"nms": "hard", "score_threshold": 0.5, "iou_threshold": 0.7},
        {"nms": "diou", "is_class_agnostic": True},
        {"nms": "soft_linear", "max_detections": 20},
        {"nms": "soft_gaussian", "score_threshold": 0.3},
        {"nms": "matrix", "class_ids": (0, 2)},
        {"class_ids": ()},
        {"class_ids": (1,), "max_detections": 5},
        {"score_threshold": 1.0},
    ],
)
def test_answers_equal_plain_loops(tmp_path: Path, form: str, asked: dict[str, Any]) -> None:
    table = crowd(form, seed=3)
    (found,) = answers(pipeline_of(write_yolo(tmp_path, table, form)), item_of(plain(), **asked))
    boxes, labels, scores = naive_answer(table, form, **asked)
    assert found.label_ids.tolist() == labels
    assert_array_equal(found.boxes, boxes)
    assert_allclose(found.scores, scores, rtol=1e-6)


@pytest.mark.parametrize("batch", [1, 2, 3, 8, "batch"])
@pytest.mark.parametrize("form", FORMS)
def test_a_fixed_batch_is_filled_and_run_as_often_as_it_takes(tmp_path: Path, form: str, batch: int | str) -> None:
    recorder = Recorder(write_yolo(tmp_path, table_of(form), form, batch=batch))
    items = [item_of(plain(grey)) for grey in (0, 51, 102, 153, 255)]
    found = answers(recorder.pipeline(), *items)
    size = 5 if batch == "batch" else int(batch)
    assert recorder.backends["model.onnx"].batches == [size] * -(-5 // size)
    for one, brightness in zip(found, (0, 0.2, 0.4, 0.6, 1), strict=True):
        (score,) = one.scores[one.boxes[:, 0] == 15]
        # What is not times the brightness of the anchor-free table is 0.2.
        assert score == pytest.approx(max(0.5 * brightness, 0.2 if form == "anchor_free" else 0), rel=1e-5)


def test_what_fills_a_fixed_batch_up_is_not_looked_at(tmp_path: Path) -> None:
    """It is black, and this model answers NaN for that."""
    pipeline = pipeline_of(write_yolo(tmp_path, FREE, batch=4, is_poisoned_by_black=True))
    (found,) = answers(pipeline, item_of(plain()))
    assert len(found.scores) == 3
    with pytest.raises(BackendFailed):
        answers(pipeline, item_of(plain(0)))


@pytest.mark.parametrize("policy", [{"layout": "nhwc"}, {"pixels": "uint8"}, {"layout": "nhwc", "pixels": "uint8"}])
def test_inputs_of_any_layout_and_type_are_fed(tmp_path: Path, policy: dict[str, Any]) -> None:
    pipeline = pipeline_of(write_yolo(tmp_path, FREE, policy=policy))
    (found,) = answers(pipeline, item_of(plain((102, 0, 0))))
    assert_allclose(found.scores, [0.9, 0.2, 0.2], rtol=1e-5)  # half of 0.4 is what the second class has


def test_channels_come_in_the_order_of_the_manifest(tmp_path: Path) -> None:
    pipeline = pipeline_of(write_yolo(tmp_path, FREE, policy={"channels": "bgr"}))
    red, blue = answers(pipeline, item_of(plain((255, 0, 0))), item_of(plain((0, 0, 255))))
    assert red.scores.tolist() == pytest.approx([0.9, 0.2, 0.2])
    assert blue.scores.tolist() == pytest.approx([0.9, 0.5, 0.2])


@pytest.mark.parametrize("align", ["centre", "corner"])
@pytest.mark.parametrize(
    ("height", "width"), [(64, 64), (128, 128), (65, 33), (31, 97), (1, 1), (1, 2000), (2000, 1), (3, 5)]
)
def test_boxes_are_in_the_frame_of_the_picture(tmp_path: Path, align: str, height: int, width: int) -> None:
    """A box around the middle of what the picture takes of the input is around the middle of the picture."""
    scale = min(64 / height, 64 / width)
    sides = [max(1, round(side * scale) if align == "centre" else int(side * scale)) for side in (height, width)]
    top, left = ((64 - side) // 2 if align == "centre" else 0 for side in sides)
    box = [left + sides[1] / 2, top + sides[0] / 2, sides[1] / 2, sides[0] / 2]
    pipeline = pipeline_of(write_yolo(tmp_path, [[*box, 0, 1, 0]], policy={"align": align}))
    (found,) = answers(pipeline, item_of(plain(255, height, width)))
    assert_allclose(found.boxes, [[width / 4, height / 4, 3 * width / 4, 3 * height / 4]], rtol=1e-5)


def test_a_box_that_is_all_padding_lies_on_the_edge(tmp_path: Path) -> None:
    pipeline = pipeline_of(write_yolo(tmp_path, [[32, 5, 10, 4, 0, 1, 0]]))
    (found,) = answers(pipeline, item_of(plain(255, 32, 64)))
    assert found.boxes.tolist() == [[27, 0, 37, 0]]


@pytest.mark.parametrize("form", FORMS)
def test_no_boxes_are_no_answers(tmp_path: Path, form: str) -> None:
    pipeline = pipeline_of(write_yolo(tmp_path, np.empty((0, 7 if form == "anchor_free" else 8)), form))
    (found,) = answers(pipeline, item_of(plain()))
    assert (found.boxes.shape, found.label_ids.shape, found.scores.shape) == ((0, 4), (0,), (0,))


# --- graphs that answer nonsense


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_that_makes_it_answer_nan_is_a_fault_of_the_model(tmp_path: Path, form: str) -> None:
    pipeline = pipeline_of(write_yolo(tmp_path, table_of(form), form, is_poisonable=True))
    answers(pipeline, item_of(plain(254)))
    with pytest.raises(BackendFailed, match="output0 is not finite"):
        answers(pipeline, item_of(plain(255)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("column", "value"), [(0, NAN), (3, INF), (4, NAN), (5, NAN), (6, INF), (6, -INF)])
def test_numbers_that_are_none_are_a_fault_of_the_model(tmp_path: Path, form: str, column: int, value: float) -> None:
    """Whatever the caller asks for: also where nobody would have looked at them."""
    table = np.array(table_of(form), np.float32)
    table[2, column] = value
    pipeline = pipeline_of(write_yolo(tmp_path, table, form))
    for asked in ({}, {"score_threshold": 0.8}, {"class_ids": ()}):
        with pytest.raises(BackendFailed, match="output0 is not finite"):
            answers(pipeline, item_of(plain(), **asked))


def test_boxes_beyond_all_numbers_are_a_fault_of_the_model(tmp_path: Path) -> None:
    pipeline = pipeline_of(write_yolo(tmp_path, [[3e38, 0, 3e38, 1, 0, 1, 0]]))
    with pytest.raises(BackendFailed, match="cannot be read"):
        answers(pipeline, item_of(plain()))


def test_more_rows_than_pictures_are_a_fault_of_the_model(tmp_path: Path) -> None:
    graph = yolo_graph(FREE, wrong_rows=True, outputs={"output0": ("float32", ["rows", 7, 3])})
    with pytest.raises(BackendFailed, match="output0 has 2 rows for 1"):
        answers(pipeline_of(write_yolo(tmp_path, FREE, model=graph)), item_of(plain()))


def test_boxes_of_another_width_are_a_fault_of_the_model(tmp_path: Path) -> None:
    """The graph leaves open what it gives; the manifest speaks of two classes."""
    graph = yolo_graph(FREE, is_open=True, outputs={"output0": ("float32", ["batch", "values", "boxes"])})
    folder = write_yolo(tmp_path, FREE, model=graph, labels=("ring", "disc"))
    with pytest.raises(BackendFailed, match=r"output0 is \[1, 7, 3\], not 6 for each box"):
        answers(pipeline_of(folder), item_of(plain()))


@pytest.mark.parametrize(
    ("package", "problem"),
    [
        ({"labels": ("ring", "disc")}, r"output output0 is .*\[any, 6, any\]"),
        ({"labels": ("ring", "disc", "cross", "star")}, r"output output0 is .*\[any, 8, any\]"),
        ({"form": "anchor_based", "model": yolo_graph(FREE)}, r"output output0 is .*\[any, any, 8\]"),
        ({"policy": {"tensor": "picture"}}, "no input picture"),
        ({"policy": {"height": 32}, "model": yolo_graph(FREE)}, "input images is"),
        ({"policy": {"layout": "nhwc"}, "model": yolo_graph(FREE)}, "input images is"),
        ({"policy": {"pixels": "uint8"}, "model": yolo_graph(FREE)}, r"input images is tensor\(float\)"),
        ({"model": yolo_graph(FREE, outputs={"v0_0": ("float32", ["b", 3, 64, 64])})}, "no output output0"),
        ({"model": yolo_graph(FREE, inputs={"size": ("int64", ["batch", 2])})}, "also wants size"),
        ({"model": b"no graph"}, r"model\.onnx cannot be loaded"),
    ],
)
def test_a_graph_that_is_not_what_the_manifest_says_is_refused(
    tmp_path: Path, package: dict[str, Any], problem: str
) -> None:
    folder = write_yolo(tmp_path, FREE, **package)
    with pytest.raises(PackageInvalid, match=problem):
        pipeline_of(folder)
