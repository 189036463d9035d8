"""A two-stage detector against plain loops, and what becomes of graphs that answer nonsense."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from retinue.runtime.detection_manifest import FasterRcnnManifest
from retinue.runtime.errors import BackendFailed, PackageInvalid
from retinue.runtime.manifest_file import read_manifest
from services.detection.detections import Rows
from services.detection.faster_rcnn import FasterRcnn
from tests.unit.services.detection.naive_two_stage import naive_detections, naive_proposals
from tests.unit.services.detection.tiny_detectors import (
    Recorder,
    answers,
    head_graph,
    item_of,
    options_with,
    pipeline_of,
    plain,
    rpn_graph,
    two_stage_output,
    write_two_stage,
)

NAN = float("nan")


def family_of(folder: Path) -> tuple[FasterRcnn, Recorder]:
    recorder = Recorder(folder)
    return FasterRcnn(FasterRcnnManifest.of(read_manifest(folder)), recorder.load), recorder


def noise(seed: int, height: int = 64, width: int = 96) -> NDArray[np.uint8]:
    """Return a picture of coarse spots, so that cells differ."""
    rng = np.random.default_rng(seed)
    spots = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3))
    fine = rng.integers(-30, 31, (height, width, 3))
    return np.asarray(np.clip(spots.repeat(8, 0).repeat(8, 1)[:height, :width] + fine, 0, 255), np.uint8)


def rows_of(picture: NDArray[np.uint8], canvas: tuple[int, int], beyond: int = 0) -> Rows:
    """Return a batch of one picture; what lies beyond it on the canvas is of one value."""
    images = np.full((1, *canvas, 3), beyond, np.uint8)
    images[0, : picture.shape[0], : picture.shape[1]] = picture
    return Rows(images, np.array([picture.shape[:2]]))


# --- against plain loops


@pytest.mark.parametrize(("height", "width", "canvas"), [(64, 96, (64, 96)), (64, 90, (64, 96)), (57, 83, (64, 96))])
@pytest.mark.parametrize("seed", range(3))
def test_proposals_equal_plain_loops(
    tmp_path: Path, seed: int, height: int, width: int, canvas: tuple[int, int]
) -> None:
    family, _ = family_of(write_two_stage(tmp_path))
    picture = noise(seed, height, width)
    raw = family.run(rows_of(picture, canvas, beyond=255))
    expected = naive_proposals(picture, canvas)
    assert len(expected) == 30
    assert_allclose(raw.boxes, expected, atol=1e-3)  # float32 against float64
    assert raw.starts.tolist() == [0, 30]


@pytest.mark.parametrize("limits", [{"per_level": 5}, {"count": 3}, {"nms_iou": 0.1}, {"nms_iou": 1.0}])
def test_the_manifest_says_how_many_proposals_there_are(tmp_path: Path, limits: dict[str, Any]) -> None:
    proposals = {"per_level": 40, "count": 30} | limits
    rpn = rpn_graph(per_level=proposals["per_level"])
    family, _ = family_of(write_two_stage(tmp_path, rpn=rpn, output={"proposals": proposals}))
    raw = family.run(rows_of(noise(7), (64, 96)))
    assert_allclose(raw.boxes, naive_proposals(noise(7), (64, 96), **proposals), atol=1e-3)


def test_anchors_of_a_level_that_does_not_divide_the_input_lie_as_torchvisions(tmp_path: Path) -> None:
    """72 columns have five cells of the second level, which torchvision lays 14 pixels apart and not 16."""
    family, _ = family_of(write_two_stage(tmp_path))
    picture = noise(3, 64, 72)
    raw = family.run(rows_of(picture, (64, 72)))
    assert_allclose(raw.boxes, naive_proposals(picture, (64, 72)), atol=1e-3)


def test_anchors_of_detectron2_keep_their_stride(tmp_path: Path) -> None:
    output = two_stage_output(proposals={"per_level": 40, "count": 1000, "nms_iou": 1.0})
    output["anchors"] = output["anchors"] | {"convention": "detectron2"}
    family, _ = family_of(write_two_stage(tmp_path, rpn=rpn_graph(delta=0.0), output=output))
    raw = family.run(rows_of(plain(200, 64, 136), (64, 136)))
    is_uncut = (raw.boxes[:, 0] > 0) & (raw.boxes[:, 2] < 136)
    centres = (raw.boxes[is_uncut, 0] + raw.boxes[is_uncut, 2]) / 2
    assert_allclose(centres % 8, 0, atol=1e-4)
    is_large = np.ptp(raw.boxes[is_uncut][:, ::2], axis=1) > 40
    assert sorted(set(centres[is_large].round().tolist())) == [32, 48, 64, 80, 96]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"nms": "hard"},
        {"nms": "hard", "is_class_agnostic": True, "iou_threshold": 0.2},
        {"nms": "soft_gaussian"},
        {"score_threshold": 0.3},
        {"class_ids": (2,)},
        {"class_ids": (1, 2), "max_detections": 4},
        {"class_ids": ()},
        {"score_threshold": 1.0},
    ],
)
def test_detections_equal_plain_loops(tmp_path: Path, asked: dict[str, Any]) -> None:
    pipeline, picture, canvas = pipeline_of(write_two_stage(tmp_path)), noise(11, 64, 90), (64, 96)
    (found,) = answers(pipeline, item_of(picture, **asked))
    boxes, labels, scores = naive_detections(picture, canvas, naive_proposals(picture, canvas), options_with(**asked))
    assert found.label_ids.tolist() == labels
    assert_allclose(found.boxes, np.reshape(boxes, (-1, 4)), atol=1e-3)
    assert_allclose(found.scores, scores, atol=1e-5)


def test_boxes_that_shrink_to_nothing_are_dropped(tmp_path: Path) -> None:
    """Here the deltas of the second graph are a thousand times as large."""
    pipeline, picture = pipeline_of(write_two_stage(tmp_path, head=head_graph(gain=1000.0))), noise(2)
    (found,) = answers(pipeline, item_of(picture))
    canvas = (64, 96)
    boxes, labels, _ = naive_detections(picture, canvas, naive_proposals(picture, canvas), options_with(), gain=1000)
    assert found.label_ids.tolist() == labels
    assert 0 < len(boxes) < 60
    assert_allclose(found.boxes, boxes, atol=1e-2)


def test_what_lies_beyond_a_picture_changes_nothing(tmp_path: Path) -> None:
    family, _ = family_of(write_two_stage(tmp_path))
    picture = noise(5, 50, 70)
    clean, dirty = (family.run(rows_of(picture, (64, 96), beyond=beyond)) for beyond in (0, 255))
    for one, other in zip(clean, dirty, strict=True):
        assert_array_equal(one, other)


def test_scaled_pictures_get_boxes_in_their_own_frame(tmp_path: Path) -> None:
    pipeline = pipeline_of(write_two_stage(tmp_path))
    small = noise(4, 64, 96)
    (at_size,) = answers(pipeline, item_of(small))
    (doubled,) = answers(pipeline, item_of(small.repeat(2, 0).repeat(2, 1)))
    assert_allclose(doubled.boxes, 2 * at_size.boxes, atol=1e-3)
    assert_array_equal(doubled.label_ids, at_size.label_ids)


# --- nothing to look at


def test_without_proposals_the_second_graph_is_not_run(tmp_path: Path) -> None:
    output = {"proposals": {"per_level": 40, "count": 30, "score_threshold": 0.5}}
    recorder = Recorder(write_two_stage(tmp_path, output=output))
    pipeline = recorder.pipeline()
    dark, bright = item_of(plain(0)), item_of(plain(200))
    for found in answers(pipeline, dark, dark):
        assert (found.boxes.shape, found.label_ids.shape, found.scores.shape) == ((0, 4), (0,), (0,))
        dtypes = [part.dtype.name for part in (found.boxes, found.label_ids, found.scores)]
        assert dtypes == ["float32", "int64", "float32"]
    assert recorder.backends["rpn.onnx"].batches == [2]
    assert recorder.backends["head.onnx"].batches == []
    first, middle, last = answers(pipeline, dark, bright, dark)
    assert (len(first.scores), len(last.scores)) == (0, 0)
    assert len(middle.scores) > 0
    assert len(recorder.backends["head.onnx"].batches) == 1


def test_boxes_that_tie_at_the_last_place_are_all_looked_at(tmp_path: Path) -> None:
    """Which of them were in would otherwise be the sort's own choice."""
    output = {"proposals": {"per_level": 40, "count": 2, "nms_iou": 0.5}}
    family, _ = family_of(write_two_stage(tmp_path, output=output))
    assert len(family.run(rows_of(plain(200), (64, 64))).boxes) > 2
    assert len(family.run(rows_of(noise(0), (64, 96))).boxes) == 2


@pytest.mark.parametrize("height", [1, 2000])
@pytest.mark.parametrize("width", [1, 2000])
def test_pictures_of_any_shape_are_answered_within_their_edges(tmp_path: Path, height: int, width: int) -> None:
    (found,) = answers(pipeline_of(write_two_stage(tmp_path)), item_of(plain(200, height, width)))
    assert (found.boxes >= 0).all()
    assert (found.boxes <= [width, height, width, height]).all()


# --- graphs that answer nonsense


def test_a_picture_that_makes_the_first_graph_answer_nan_is_a_fault_of_the_model(tmp_path: Path) -> None:
    pipeline = pipeline_of(write_two_stage(tmp_path, rpn=rpn_graph(is_poisonable=True)))
    answers(pipeline, item_of(plain(254)))
    with pytest.raises(BackendFailed, match="objectness is not finite"):
        answers(pipeline, item_of(plain(255)))


@pytest.mark.parametrize(
    ("graphs", "problem"),
    [
        ({"rpn": rpn_graph(delta=NAN)}, "anchor_deltas is not finite"),
        ({"rpn": rpn_graph(delta=float("inf"))}, "anchor_deltas is not finite"),
        ({"rpn": rpn_graph(delta=-3e38)}, "cannot be read"),  # finite, and its boxes are not
        ({"rpn": rpn_graph(first_anchor=1000)}, "cannot be read"),
        ({"rpn": rpn_graph(first_anchor=-1000)}, "cannot be read"),
        ({"rpn": rpn_graph(per_level=3)}, "gave 6 anchors, where the manifest speaks of 80"),
        ({"rpn": rpn_graph(per_level=41)}, "gave 82 anchors, where the manifest speaks of 80"),
        ({"head": head_graph(gain=NAN)}, "box_deltas is not finite"),
        ({"head": head_graph(gain=1e38)}, "cannot be read"),
    ],
)
def test_numbers_that_cannot_be_read_are_a_fault_of_the_model(
    tmp_path: Path, graphs: dict[str, bytes], problem: str
) -> None:
    with pytest.raises(BackendFailed, match=problem):
        answers(pipeline_of(write_two_stage(tmp_path, **graphs)), item_of(noise(0)))


@pytest.mark.parametrize(
    ("package", "problem"),
    [
        ({"output": {"levels": ("p4",)}}, "no output p4"),
        ({"output": {"objectness": "logits"}}, "no output logits"),
        ({"output": {"anchor_deltas": "deltas"}}, "no output deltas"),
        ({"output": {"scores": "probabilities"}}, "no output probabilities"),
        ({"output": {"boxes": "rois"}}, "no input rois"),
        ({"policy": {"tensor": "picture"}}, "no input picture"),
        ({"policy": {"size_tensor": "sizes"}}, "no input sizes"),
        ({"policy": {"pixels": "float32"}}, r"input image is tensor\(uint8\)"),
        ({"labels": ("nothing", "ring")}, r"scores is .*\[any, 2\]"),
        ({"head": head_graph(class_count=2)}, r"scores is .*\[any, 3\]"),
        ({"rpn": rpn_graph(outputs={"anchor": ("float32", ["batch", "anchors"])})}, None),
        ({"rpn": head_graph()}, "no input image"),
        ({"head": rpn_graph()}, "no input p8"),
        ({"rpn": b"no graph"}, r"rpn\.onnx cannot be loaded"),
        ({"head": b""}, r"head\.onnx cannot be loaded"),
    ],
)
def test_graphs_that_are_not_what_the_manifest_says_are_refused(
    tmp_path: Path, package: dict[str, Any], problem: str | None
) -> None:
    folder = write_two_stage(tmp_path, **package)
    with pytest.raises(PackageInvalid, match=problem):
        pipeline_of(folder)
