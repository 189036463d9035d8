"""`retinue detect` against a real server; what all commands that ask a service do is tested with `retinue classify`."""

import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from retinue.cli.main import main
from retinue.detection.v1 import detection_pb2 as pb
from tests.unit.client.scripted_detection import CELL, COIN, RunningDetection, answer


def test_a_folder_is_answered_by_counts_and_tables(
    served_detection: RunningDetection, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["detect", str(pictures), "--server", served_detection.address]) == 0
    captured = capsys.readouterr()
    rows = [line.split() for line in captured.out.splitlines()]
    assert rows == [
        row
        for name in ("a.png", "b.PNG", "inner/a.png")
        for row in (
            [str(pictures / name), "1", "coin,", "1", "red", "cell", "1001.0", "ms"],
            ["label", "score", "x_min", "y_min", "x_max", "y_max"],
            ["coin", "0.750", "1.5", "2.0", "20.2", "25.0"],
            ["red", "cell", "0.500", "10.0", "12.0", "40.0", "30.0"],
        )
    ]
    assert captured.err == "", "no bar where nobody looks"


def test_the_most_frequent_class_comes_first_and_only_the_best_boxes_are_listed(
    served_detection: RunningDetection, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    response = answer(found=[CELL] + [COIN] * 23)
    served_detection.service.on_streamed = lambda _: pb.DetectStreamResponse(result=pb.DetectResult(response=response))
    assert main(["detect", str(pictures / "a.png"), "--server", served_detection.address]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert "23 coin, 1 red cell" in head
    assert len(rows) == 11
    assert rows[-1].split() == ["and", "14", "more"]


def test_nothing_found_is_said(
    served_detection: RunningDetection, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    response = answer(found=[])
    served_detection.service.on_streamed = lambda _: pb.DetectStreamResponse(result=pb.DetectResult(response=response))
    assert main(["detect", str(pictures / "a.png"), "--server", served_detection.address]) == 0
    assert capsys.readouterr().out.split()[1:3] == ["nothing", "found"]


def test_json_has_one_object_per_line(
    served_detection: RunningDetection, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["detect", str(pictures / "*.png"), "--json", "--server", served_detection.address]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "file": str(pictures / "a.png"),
        "detections": [
            {"label_id": 0, "label": "coin", "score": 0.75, "box": [1.5, 2.0, 20.25, 25.0]},
            {"label_id": 1, "label": "red cell", "score": 0.5, "box": [10.0, 12.0, 40.0, 30.0]},
        ],
        "model": {"name": "rounds", "version": "2"},
        "image": {"width": 40, "height": 30},
        "timings": {
            "queue_s": 0.001,
            "decode_s": 0.0,
            "preprocess_s": 0.0,
            "infer_s": 1.0,
            "postprocess_s": 0.0,
            "batch_size": 4,
        },
    }


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_bad_files_are_told_in_their_places_and_the_rest_goes_on(
    served_detection: RunningDetection, pictures: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    (pictures / "bad.png").write_bytes(b"bad")
    names = [str(pictures / name) for name in ("a.png", "missing.png", "bad.png", "b.PNG")]
    assert main(["detect", *names, "--server", served_detection.address, *option]) == 1
    told = capsys.readouterr().out
    places = [told.index(name) for name in names]
    assert places == sorted(places)
    assert places[1] < told.index("PICTURE_UNREADABLE") < places[2] < told.index("INVALID_IMAGE") < places[3]


def test_options_reach_the_service(served_detection: RunningDetection, pictures: Path) -> None:
    options = ["--model", "rounds@2", "--score", "0.25", "--nms", "soft_linear", "--iou", "0.5", "--max", "7"]
    more = ["--tile", "640", "--overlap", "64", "--class", "coin", "red cell", "--class", "platelet"]
    assert main(["detect", str(pictures / "a.png"), "--server", served_detection.address, *options, *more]) == 0
    request: Any = served_detection.service.requests[0].request
    assert (request.model.name, request.model.version, request.image.id) == ("rounds", "2", "a.png")
    assert request.options == pb.DetectionOptions(
        score_threshold=0.25,
        class_names=["coin", "red cell", "platelet"],
        nms_kind=pb.NMS_KIND_SOFT_LINEAR,
        iou_threshold=0.5,
        max_detections=7,
        tiling=pb.DetectionTiling(tile_size_px=640, overlap_px=64),
    )


def test_what_is_not_given_is_left_to_the_service(served_detection: RunningDetection, pictures: Path) -> None:
    assert main(["detect", str(pictures / "a.png"), "--server", served_detection.address]) == 0
    assert served_detection.service.requests[0].request.options == pb.DetectionOptions()


def test_drawings_are_written_beside_each_other(served_detection: RunningDetection, pictures: Path) -> None:
    out = pictures / "drawn"
    assert main(["detect", str(pictures), "--server", served_detection.address, "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["a-boxes-2.png", "a-boxes.png", "b-boxes.png"]
    drawn = cv2.imread(str(out / "a-boxes.png"))
    assert drawn is not None
    assert drawn.shape[1] == 960
    assert (drawn == (0, 159, 230)).all(axis=2).any(), "a line in the colour of coins, blue first"


def test_an_answer_for_another_picture_is_not_drawn(
    served_detection: RunningDetection, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when the file was written anew between being sent and being drawn."""
    response = answer(size=(41, 30))
    served_detection.service.on_streamed = lambda _: pb.DetectStreamResponse(result=pb.DetectResult(response=response))
    command = ["detect", str(pictures / "a.png"), "--server", served_detection.address, "--out", str(pictures)]
    assert main(command) == 1
    captured = capsys.readouterr()
    assert "coin" in captured.out
    assert captured.err.startswith("retinue: no drawing: ")
    assert captured.err.count("\n") == 1


def test_nothing_of_a_name_or_label_steers_the_terminal(
    served_detection: RunningDetection, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    response = answer(found=[(0, "[red]coin\x1b[31m\n", 0.5, (0.0, 0.0, 4.0, 4.0))])
    served_detection.service.on_streamed = lambda _: pb.DetectStreamResponse(result=pb.DetectResult(response=response))
    path = pictures / "\x1b[2J.png"
    path.write_bytes(b"x")
    for option in ([], ["--json"]):
        assert main(["detect", str(path), "--server", served_detection.address, *option]) == 0
        told = capsys.readouterr().out
        assert "\x1b" not in told
        assert "[red]coin" in told
