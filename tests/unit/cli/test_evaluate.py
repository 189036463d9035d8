"""`retinue evaluate` against a real server; that its table is pycocotools' is tested with `coco_table`."""

import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from retinue.cli.main import main
from retinue.common.v1 import model_pb2
from retinue.matching.v1 import matching_pb2 as pb
from tests.unit.client.scripted_matching import RunningMatching

TRUTH: dict[str, Any] = {
    "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 3}],
    "categories": [{"id": 4, "name": "coin"}, {"id": 1, "name": "cell"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 4, "bbox": [1, 2, 3, 4], "area": 9.5, "segmentation": [[0] * 6]},
        {"id": 2, "image_id": 7, "category_id": 1, "bbox": [5, 6, 7, 8], "area": 50, "iscrowd": 1},
    ],
}
FOUND: list[dict[str, Any]] = [
    {"image_id": 3, "category_id": 4, "bbox": [0, 0, 2, 2], "score": 0.5},
    {"image_id": 7, "category_id": 4, "bbox": [1, 2, 3, 4], "score": 0.75},
    {"image_id": 7, "category_id": 99, "bbox": [1, 2, 3, 4], "score": 0.75},
]


def files(folder: Path, truth: Any = TRUTH, found: Any = FOUND) -> list[str]:
    for name, content in (("gt.json", truth), ("dt.json", found)):
        (folder / name).write_text(json.dumps(content))
    return ["evaluate", "--gt", str(folder / "gt.json"), "--dt", str(folder / "dt.json")]


def test_files_are_sent_picture_by_picture(served_matching: RunningMatching, tmp_path: Path) -> None:
    assert main([*files(tmp_path), "--server", served_matching.address]) == 0
    (request,) = served_matching.service.requests
    assert request == pb.EvaluateRequest(
        options=pb.EvaluationOptions(labels=[model_pb2.Label(id=1, name="cell"), model_pb2.Label(id=4, name="coin")]),
        images=[
            pb.EvaluationImage(
                image_id="7",
                truth_xyxy_px=[1, 2, 4, 6, 5, 6, 12, 14],
                truth_class_ids=[4, 1],
                truth_areas_px=[9.5, 50],
                truth_is_crowd=[False, True],
                detection_xyxy_px=[1, 2, 4, 6],
                detection_class_ids=[4],
                detection_scores=[0.75],
            ),
            pb.EvaluationImage(
                image_id="3", detection_xyxy_px=[0, 0, 2, 2], detection_class_ids=[4], detection_scores=[0.5]
            ),
        ],
    ), "a category that the truth does not have is left out, as pycocotools does"


def test_twelve_lines_and_nothing_else_are_printed(
    served_matching: RunningMatching, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*files(tmp_path), "--server", served_matching.address]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert len(lines) == 12
    assert lines[0] == " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.500"
    assert lines[2].endswith("= -1.000")
    assert captured.err == ""


def test_a_chart_and_all_figures_are_written(
    served_matching: RunningMatching, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "out"
    assert main([*files(tmp_path), "--out", str(out), "--json", "--server", served_matching.address]) == 0
    (request,) = served_matching.service.requests
    assert request.options.return_curves
    assert cv2.imread(str(out / "precision-recall.png")) is not None
    figures = json.loads((out / "evaluation.json").read_text())
    assert figures == json.loads(capsys.readouterr().out)
    assert figures["summary"]["ap"] == 0.5
    assert figures["classes"][0]["name"] == "coin"
    assert figures["confusion"] == {"class_ids": [1, 4], "counts": [[5, 0, 2], [0, 0, 0], [3, 1, 0]]}
    assert figures["image_count"] == 3


def changed(**fields: Any) -> dict[str, Any]:
    return TRUTH | fields


@pytest.mark.parametrize(
    ("truth", "found", "complaint"),
    [
        ([], FOUND, "must be an object"),
        ({}, FOUND, "categories must be a list"),
        (changed(images=None), FOUND, "images must be a list"),
        (changed(images=[{"id": "x"}]), FOUND, "images[0]: id must be a whole number"),
        (changed(categories=[{"id": -1}]), FOUND, "categories[0]: id"),
        (changed(annotations=[{"image_id": 7, "category_id": 4}]), FOUND, "annotations[0]: bbox"),
        (changed(annotations=[{"image_id": 7, "category_id": 4, "bbox": [1, 2, 3, 4]}]), FOUND, "annotations[0]: area"),
        (changed(annotations=[TRUTH["annotations"][0] | {"iscrowd": 2}]), FOUND, "iscrowd must be 0 or 1"),
        (TRUTH, {}, "it must be a list"),
        (TRUTH, [1], "it must be a list"),
        (TRUTH, [FOUND[0] | {"image_id": 8}], "[0]: image_id 8 is no picture of the truth"),
        (TRUTH, [FOUND[0] | {"image_id": [8]}], "[0]: image_id must be a whole number"),
        (TRUTH, [FOUND[0] | {"score": None}], "[0]: score must be a number"),
    ],
)
def test_files_of_another_form_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], truth: Any, found: Any, complaint: str
) -> None:
    assert main(files(tmp_path, truth, found)) == 2
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_what_cannot_be_written_is_said(
    served_matching: RunningMatching, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file")
    command = [*files(tmp_path), "--out", str(tmp_path / "taken"), "--server", served_matching.address]
    assert main(command) == 2
    assert "--out" in capsys.readouterr().err
