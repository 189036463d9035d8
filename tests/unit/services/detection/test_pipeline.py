"""What detection means, whatever the family: inputs of the right size, answers in the picture's own frame."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from retinue.runtime.caller import Caller
from retinue.runtime.errors import BackendFailed, InvalidImage, PackageInvalid
from retinue.runtime.package import open_package
from retinue.runtime.picture import PictureLimits, open_picture
from retinue.runtime.view import WholePicture
from services.detection.detections import DetectionItem
from services.detection.pipeline import DetectionPipeline, detection_manifest_of
from tests.unit.services.detection.held_picture import HeldPicture, running_engine
from tests.unit.services.detection.tiny_detectors import (
    Recorder,
    answers,
    item_of,
    options_with,
    pipeline_of,
    plain,
    write_detr,
    write_squares,
    write_two_stage,
    write_yolo,
)
from tests.unit.serving.tiny_engine import manifest_of
from tests.unit.serving.tiny_package import write_package

TABLE = [[16, 16, 16, 16, 0.9, 0.1, 0.1]]
WRITERS: dict[str, Any] = {
    "faster_rcnn": write_two_stage,
    "detr": lambda root, **changes: write_detr(root, [[1, 0, 0, 0]], [[0.5, 0.5, 0.5, 0.5]], **changes),
    "yolo": lambda root, **changes: write_yolo(root, TABLE, **changes),
}


def encoded(pixels: Any, exif_orientation: int = 1) -> DetectionItem:
    """Return a JPEG of a picture, whose EXIF says how it is to be turned."""
    jpeg = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([exif_orientation]) + b"\0\0\0\0\0\0"
    data = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    return DetectionItem(WholePicture(open_picture(data, PictureLimits())), options_with(score_threshold=0.5))


# --- inputs


@pytest.mark.parametrize("family", WRITERS)
def test_every_family_is_run_from_its_manifest(tmp_path: Path, family: str) -> None:
    pipeline = pipeline_of(WRITERS[family](tmp_path))
    (found,) = answers(pipeline, item_of(plain(200)))
    assert len(found.boxes) == len(found.scores) == len(found.label_ids) > 0
    assert found.manifest is pipeline.manifest
    assert (pipeline.provider, pipeline.manifest.family) == ("cpu", family)


@pytest.mark.parametrize(
    ("height", "width", "bucket"),
    [(64, 64, (64, 64)), (64, 100, (64, 112)), (128, 128, (64, 64)), (1, 2000, (16, 128)), (65535, 1, (128, 16))],
)
def test_a_bucket_is_the_size_of_the_input(tmp_path: Path, height: int, width: int, bucket: tuple[int, int]) -> None:
    assert pipeline_of(write_two_stage(tmp_path)).bucket(item_of(plain(0, height, width))) == bucket


def test_an_input_of_one_size_is_one_bucket(tmp_path: Path) -> None:
    pipeline = pipeline_of(write_yolo(tmp_path, TABLE))
    assert {pipeline.bucket(item_of(plain(0, *size))) for size in ((1, 1), (500, 3), (64, 64))} == {(64, 64)}
    assert list(pipeline.warm_up_buckets()) == [(64, 64)]


def test_a_bucket_decodes_nothing(tmp_path: Path) -> None:
    picture = HeldPicture(plain(0, 50, 70))
    item = DetectionItem(WholePicture(picture), options_with())
    assert pipeline_of(write_two_stage(tmp_path)).bucket(item) == (64, 96)
    assert picture.count == 0


@pytest.mark.parametrize(
    ("policy", "shape", "dtype"),
    [
        ({}, (5, 3, 64, 64), np.float32),
        ({"layout": "nhwc"}, (5, 64, 64, 3), np.float32),
        ({"pixels": "uint8"}, (5, 3, 64, 64), np.uint8),
    ],
)
def test_a_buffer_has_the_layout_of_the_input(tmp_path: Path, policy: Any, shape: Any, dtype: Any) -> None:
    rows = pipeline_of(write_yolo(tmp_path, TABLE, policy=policy)).allocate((64, 64), 5)
    assert (rows.images.shape, rows.images.dtype) == (shape, dtype)


def test_what_is_no_bucket_is_told(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="no bucket"):
        pipeline_of(write_yolo(tmp_path, TABLE)).allocate("large", 1)


@pytest.mark.parametrize("short_side", [64, 800])
def test_warming_up_takes_a_small_picture_even_where_inputs_are_large(tmp_path: Path, short_side: int) -> None:
    recorder = Recorder(write_two_stage(tmp_path, policy={"short_side": short_side, "long_side": 1333}))
    pipeline = recorder.pipeline()
    (bucket,) = pipeline.warm_up_buckets()
    assert bucket == (min(short_side, 128),) * 2
    with running_engine(pipeline, max_batch_size=3):
        assert recorder.backends["rpn.onnx"].batches == [1, 2, 3]
        assert recorder.backends["head.onnx"].batches  # black or not, proposals are there


# --- answers


@pytest.mark.parametrize("family", WRITERS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2000), (2000, 1), (63, 65), (640, 33)])
def test_pictures_of_any_shape_are_answered_within_their_edges(
    tmp_path: Path, family: str, height: int, width: int
) -> None:
    (found,) = answers(pipeline_of(WRITERS[family](tmp_path)), item_of(plain(255, height, width)))
    assert (found.boxes >= 0).all()
    assert (found.boxes <= [width, height, width, height]).all()
    assert (np.diff(found.scores) <= 0).all()


# Where the square at x 8 to 14, y 20 to 26 of 64 x 64 stored pixels lies once it is upright (EXIF 2.32, 4.6.4 A).
TURNED = {
    1: [8, 20, 14, 26],
    2: [50, 20, 56, 26],
    3: [50, 38, 56, 44],
    4: [8, 38, 14, 44],
    5: [20, 8, 26, 14],
    6: [38, 8, 44, 14],
    7: [38, 50, 44, 56],
    8: [20, 50, 26, 56],
}


@pytest.mark.parametrize(("orientation", "box"), TURNED.items())
def test_boxes_are_in_the_frame_of_the_upright_picture(tmp_path: Path, orientation: int, box: list[int]) -> None:
    stored = plain(0)
    stored[20:26, 8:14] = 255
    (found,) = answers(pipeline_of(write_squares(tmp_path)), encoded(stored, orientation))
    assert found.boxes.tolist() == [box]


def test_each_item_of_a_batch_gets_what_it_asked_for(tmp_path: Path) -> None:
    pipeline = pipeline_of(write_two_stage(tmp_path))
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    asked: list[dict[str, Any]] = [
        {},
        {"max_detections": 2},
        {"class_ids": (2,)},
        {"nms": "hard", "iou_threshold": 0.1},
        {"score_threshold": 1.0},
    ]
    together = answers(pipeline, *[item_of(pixels, **one) for one in asked])
    for found, one in zip(together, asked, strict=True):
        (alone,) = answers(pipeline, item_of(pixels, **one))
        assert_array_equal(found.boxes, alone.boxes)
        assert_array_equal(found.scores, alone.scores)
        assert_array_equal(found.label_ids, alone.label_ids)
    assert len({len(found.scores) for found in together}) > 2


def test_float_pictures_are_scaled_without_rounding(tmp_path: Path) -> None:
    """Two grey levels blend to one between, which bytes would round."""
    pipeline = pipeline_of(write_detr(tmp_path, [[0, 0, 0, 0]], [[0.5, 0.5, 1, 1]]))
    rows = pipeline.allocate((64, 64), 1)
    pixels = plain(0, 32, 32)
    pixels[:, 16:] = 1
    pipeline.prepare(pixels, rows, 0)
    assert rows.sizes.tolist() == [[64, 64]]
    assert_allclose(np.unique(rows.images[0]), [0, 0.25, 0.75, 1])


def test_rows_that_hold_older_pictures_are_not_looked_at(tmp_path: Path) -> None:
    """Here one on which the model answers NaN."""
    pipeline, item = pipeline_of(write_yolo(tmp_path, TABLE, is_poisonable=True)), item_of(plain(51))
    rows = pipeline.allocate(pipeline.bucket(item), 3)
    pipeline.prepare(plain(51), rows, 0)
    pipeline.prepare(plain(255), rows, 1)
    with pytest.raises(BackendFailed):
        pipeline.run(rows, 2)
    (found,) = pipeline.finish([item], pipeline.run(rows, 1))
    assert len(found.scores) == 1


# --- what goes wrong


def test_a_picture_that_makes_the_model_answer_nan_does_not_fail_its_neighbours(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path, TABLE, is_poisonable=True)
    with running_engine(pipeline_of(folder)) as engine:
        tickets = [engine.submit(item_of(plain(grey)), Caller()) for grey in (51, 255, 102, 153) * 3]
        errors = [ticket.wait_error() for ticket in tickets]
    assert [type(error) for error in errors] == [type(None), BackendFailed, type(None), type(None)] * 3
    assert tickets[2].wait().scores[0] == pytest.approx(0.36, rel=1e-5)


def test_a_picture_that_cannot_be_decoded_does_not_fail_its_neighbours(tmp_path: Path) -> None:
    data = cv2.imencode(".png", plain(0))[1].tobytes()
    broken = open_picture(data[:45] + bytes(len(data) - 61) + data[-16:], PictureLimits())
    with running_engine(pipeline_of(write_yolo(tmp_path, TABLE))) as engine:
        items = [item_of(plain()), DetectionItem(WholePicture(broken), options_with()), item_of(plain())]
        tickets = [engine.submit(item, Caller()) for item in items]
        assert [type(ticket.wait_error()) for ticket in tickets] == [type(None), InvalidImage, type(None)]


def test_a_model_that_answers_nonsense_is_found_out_when_it_warms_up(tmp_path: Path) -> None:
    """As a condition, so that the host passes it over and serves the others."""
    table = [[3e38, 0, 3e38, 1, float("nan"), 0, 0]]
    with pytest.raises(BackendFailed), running_engine(pipeline_of(write_yolo(tmp_path, table))):
        pass


def test_a_package_of_another_task_is_refused(tmp_path: Path) -> None:
    write_package(tmp_path)
    package = open_package(tmp_path / "tiny" / "1")
    with pytest.raises(PackageInvalid, match="task classification is not served here"):
        DetectionPipeline(package, Recorder(package.folder).load)
    with pytest.raises(PackageInvalid, match="task classification is not served here"):
        detection_manifest_of(manifest_of())


@pytest.mark.parametrize("family", WRITERS)
def test_a_graph_that_is_not_listed_is_refused(tmp_path: Path, family: str) -> None:
    folder = WRITERS[family](tmp_path)
    package = open_package(folder)
    next(folder.glob("*.onnx")).unlink()
    with pytest.raises(PackageInvalid, match=r"\.onnx cannot be loaded"):
        DetectionPipeline(package, Recorder(folder).load)
