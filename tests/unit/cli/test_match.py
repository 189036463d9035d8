"""`retinue match` against a real server."""

import json
from pathlib import Path

import grpc
import pytest

from retinue.cli.main import main
from retinue.matching.v1 import matching_pb2 as pb
from tests.unit.client.scripted_matching import RunningMatching


def points(folder: Path, text: str = "1,2\n3,4\n", name: str = "a.csv") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def asked(served: RunningMatching) -> pb.PointsProblem:
    (request,) = served.service.requests
    (problem,) = request.problems
    found: pb.PointsProblem = problem
    return found


def test_points_are_paired_and_told(
    served_matching: RunningMatching, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = points(tmp_path)
    command = ["match", "points", path, path, "--radius", "12", "--mode", "hovernet_compat"]
    assert main([*command, "--server", served_matching.address]) == 0
    assert asked(served_matching) == pb.PointsProblem(
        a_xy=[1, 2, 3, 4], b_xy=[1, 2, 3, 4], radius=12, mode=pb.MATCH_MODE_HOVERNET_COMPAT
    )
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        ["2", "pairs,", "1", "of", "a", "and", "2", "of", "b", "are", "alone", "1.0", "ms"],
        ["precision", "0.500,", "recall", "0.750,", "F1", "-,", "mean", "distance", "0.875"],
        ["a", "b", "distance"],
        ["0", "1", "0.500"],
        ["2", "0", "1.250"],
    ]


def test_json_has_all_of_it(
    served_matching: RunningMatching, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = points(tmp_path)
    assert main(["match", "points", path, path, "--radius", "0", "--json", "--server", served_matching.address]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "pairs": [[0, 1], [2, 0]],
        "distances": [0.5, 1.25],
        "unpaired_a": [1],
        "unpaired_b": [2, 3],
        "precision": 0.5,
        "recall": 0.75,
        "f1": None,
        "solve_time_s": 0.001,
    }


def test_csv_has_a_row_for_each_pair_and_each_that_is_alone(served_matching: RunningMatching, tmp_path: Path) -> None:
    path, out = points(tmp_path), tmp_path / "pairs.csv"
    command = ["match", "points", path, path, "--radius", "5", "--csv", str(out)]
    assert main([*command, "--server", served_matching.address]) == 0
    assert out.read_text() == "a,b,distance\n0,1,0.5\n2,0,1.25\n1,,\n,2,\n,3,\n"


@pytest.mark.parametrize(
    "text",
    [
        "x,y\n1,2\n\n3,4\n",
        "id;y;x\n7;2;1\n8;4;3\n",
        "\ufeffX\tY\n1\t2\n3\t4",
        "column,row,score\n1,2,0.5\n3,4,0.5\n",
        "1, 2, 9\r\n3, 4, 9\r\n",
    ],
)
def test_columns_are_found_by_name_or_place(served_matching: RunningMatching, tmp_path: Path, text: str) -> None:
    path = points(tmp_path, text)
    assert main(["match", "points", path, path, "--radius", "5", "--server", served_matching.address]) == 0
    assert asked(served_matching).a_xy == [1, 2, 3, 4]


def test_an_empty_file_is_an_empty_set(served_matching: RunningMatching, tmp_path: Path) -> None:
    for text in ("", "x,y\n"):
        served_matching.service.requests.clear()
        path = points(tmp_path, text)
        assert main(["match", "points", path, path, "--radius", "5", "--server", served_matching.address]) == 0
        assert asked(served_matching).a_xy == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"1,2\n3\n", "line 2 holds no x and y"),
        (b"1,2\nx,y\n", "line 2 holds no x and y"),
        (b"1,2\n\xff\xfe,4\n", "is no CSV file"),
        (None, "No such file"),
    ],
)
def test_a_file_of_no_points_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, complaint: str
) -> None:
    path = tmp_path / "bad.csv"
    if content is not None:
        path.write_bytes(content)
    assert main(["match", "points", points(tmp_path), str(path), "--radius", "5"]) == 2
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert "bad.csv" in captured.err
    assert captured.err.count("\n") == 1


def test_a_failure_of_the_service_is_one_line_and_exit_code_1(
    served_matching: RunningMatching, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served_matching.service.answers["points"] = grpc.StatusCode.INVALID_ARGUMENT
    path = points(tmp_path)
    assert main(["match", "points", path, path, "--radius", "5", "--server", served_matching.address]) == 1
    assert "INVALID_ARGUMENT" in capsys.readouterr().err


CORNERS = [1.0, 2.0, 4.0, 6.0]


@pytest.mark.parametrize(
    ("content", "class_ids"),
    [
        ([CORNERS], None),
        ({"boxes": [CORNERS]}, None),
        ({"boxes": [CORNERS], "class_ids": [7]}, [7]),
        ({"file": "x.png", "detections": [{"label_id": 7, "label": "coin", "score": 0.5, "box": CORNERS}]}, [7]),
        ([{"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5}], [7]),
    ],
)
def test_boxes_of_every_form_are_paired(
    served_matching: RunningMatching, tmp_path: Path, content: object, class_ids: list[int] | None
) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(content))
    command = ["match", "boxes", str(path), str(path), "--threshold", "0.25", "--metric", "ios"]
    is_aware = class_ids is not None
    command += ["--class-aware"] * is_aware
    assert main([*command, "--server", served_matching.address]) == 0
    (request,) = served_matching.service.requests
    assert request.problems[0] == pb.BoxesProblem(
        a_xyxy=CORNERS,
        b_xyxy=CORNERS,
        a_class_ids=class_ids or [],
        b_class_ids=class_ids or [],
        metric=pb.BOX_METRIC_IOS,
        threshold=0.25,
        is_class_aware=is_aware,
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nonsense", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("7", "must hold boxes"),
        ('{"things": []}', "must hold boxes"),
        ("[[1, 2, 3]]", "box 0 is not four numbers"),
        ("[[1, 2, 3, true]]", "box 0 is not four numbers"),
        ('{"boxes": [[1, 2, 3, 4]], "class_ids": [1, 2]}', "class_ids must be"),
        ('{"boxes": [[1, 2, 3, 4]], "class_ids": [1.5]}', "class_ids must be"),
        ('[{"image_id": 1, "bbox": [1, 2, 3, 4]}, {"image_id": 2, "bbox": [1, 2, 3, 4]}]', "several pictures"),
        ("[[1, 2, 3, 4]]", "no classes"),
    ],
)
def test_a_file_of_no_boxes_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    assert main(["match", "boxes", str(path), str(path), "--class-aware"]) == 2
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert captured.err.count("\n") == 1
