"""`retinue track` against a real server."""

import io
import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from retinue.cli.main import main
from retinue.matching.v1 import matching_pb2 as pb
from tests.unit.client.scripted_matching import RunningMatching

MOT = """1,-1,10,20,30,40,0.5,-1,-1,-1
1,-1,1.5,2.25,3,4,1
3,-1,10,20,30,40,0.25
"""
LINES = [
    {"frame": 1, "boxes": [[10, 20, 40, 60], [1.5, 2.25, 4.5, 6.25]], "scores": [0.5, 1]},
    {"frame": 3, "boxes": [[10, 20, 40, 60]], "scores": [0.25]},
]
TRACKED = """1,1,10.00,20.00,30.00,40.00,0.5,-1,-1,-1
1,2,1.50,2.25,3.00,4.00,1,-1,-1,-1
3,1,10.00,20.00,30.00,40.00,0.25,-1,-1,-1
"""


def written(folder: Path, content: str | list[dict[str, Any]], name: str = "det") -> str:
    path = folder / name
    text = content if isinstance(content, str) else "".join(json.dumps(line) + "\n" for line in content)
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("content", [MOT, "\ufeff" + MOT.replace("\n", "\r\n\n"), LINES])
def test_frames_become_lines_of_tracks(
    served_matching: RunningMatching,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str | list[dict[str, Any]],
) -> None:
    assert main(["track", written(tmp_path, content), "--server", served_matching.address]) == 0
    assert capsys.readouterr().out == TRACKED
    options, first, _ = served_matching.service.requests
    assert options == pb.TrackRequest(options=pb.TrackOptions())
    assert first.frame == pb.TrackFrame(
        frame_index=1, boxes_xyxy_px=[10, 20, 40, 60, 1.5, 2.25, 4.5, 6.25], scores=[0.5, 1]
    )


def test_lines_go_to_a_file(
    served_matching: RunningMatching, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tracks.txt"
    command = ["track", written(tmp_path, MOT), "--out", str(out), "--server", served_matching.address]
    assert main(command) == 0
    assert out.read_text() == TRACKED
    assert capsys.readouterr().out == "2 tracks in 2 frames\n"


def test_what_detect_prints_can_be_piped_in(
    served_matching: RunningMatching, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [{"label_id": 7, "label": "coin", "score": 0.5, "box": [0, 0, 4, 4]}]
    lines: list[dict[str, Any]] = [
        {"file": "a.png", "detections": found},
        {"file": "b.png", "error": {"code": "INVALID_ARGUMENT"}},
        {"file": "c.png", "detections": []},
        {"file": "d.png", "detections": found * 2},
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(map(json.dumps, lines))))
    assert main(["track", "-", "--server", served_matching.address]) == 0
    frames = [request.frame for request in served_matching.service.requests[1:]]
    assert [(frame.frame_index, list(frame.class_ids)) for frame in frames] == [(1, [7]), (2, []), (3, []), (4, [7, 7])]
    assert capsys.readouterr().out.count("\n") == 3


def test_options_reach_the_service(served_matching: RunningMatching, tmp_path: Path) -> None:
    options = ["--high-score", "0.5", "--low-score", "0", "--new-score", "0.75", "--high-iou", "0.25", "--low-iou", "1"]
    more = ["--max-lost", "0", "--min-seen", "3", "--max-tracks", "9", "--class-aware"]
    command = ["track", written(tmp_path, MOT), *options, *more, "--server", served_matching.address]
    assert main(command) == 0
    assert served_matching.service.requests[0].options == pb.TrackOptions(
        high_score_threshold=0.5,
        low_score_threshold=0,
        new_track_score_threshold=0.75,
        high_iou_threshold=0.25,
        low_iou_threshold=1,
        max_lost_frames=0,
        min_seen_frames=3,
        max_tracks=9,
        is_class_aware=True,
    )


def test_an_empty_file_has_no_tracks(
    served_matching: RunningMatching, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["track", written(tmp_path, "\n"), "--server", served_matching.address]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("1,-1,10,20,30\n", "line 1 is not frame,id"),
        ("1,-1,10,20,30,x,1\n", "line 1 is not frame,id"),
        ("1.5,-1,10,20,30,40,1\n", "line 1: the frame must"),
        ("nan,-1,10,20,30,40,1\n", "line 1: the frame must"),
        ("inf,-1,10,20,30,40,1\n", "line 1: the frame must"),
        ("1,-1,10,20,30,40,1.5\n", "line 1: the score is 1.5"),
        ("1,-1,10,20,30,40,nan\n", "line 1: the score is nan"),
        ("2,-1,1,1,1,1,1\n1,-1,1,1,1,1,1\n", "line 2: frame 1 comes after frame 2"),
        ("1,-1,1,1,1,1,1\n2,-1,1,1,1,1,1\n1,-1,1,1,1,1,1\n", "line 3: frame 1 comes after frame 2"),
        ('{"boxes": []}\n{', "line 2 is no JSON"),
        ('{"scores": []}', "line 1: boxes must"),
        ('{"boxes": [[1, 2, 3]], "scores": [1]}', "line 1: boxes must"),
        ('{"boxes": [[1, 2, 3, 4]], "scores": []}', "line 1: scores must"),
        ('{"boxes": [[1, 2, 3, 4]], "scores": [1], "class_ids": ["x"]}', "line 1: class_ids must"),
        ('{"frame": -1, "boxes": [], "scores": []}', "line 1: frame must"),
        ('{"frame": 1, "boxes": [], "scores": []}\n' * 2, "line 2: frame 1 comes after frame 1"),
        ('{"boxes": [], "scores": []}\n[]', "line 2 is no object"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(
    served_matching: RunningMatching,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    complaint: str,
) -> None:
    content = content.replace('{"boxes": []}', '{"boxes": [], "scores": []}')
    assert main(["track", written(tmp_path, content), "--server", served_matching.address]) == 2
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert captured.err.count("\n") == 1


def test_files_that_cannot_be_used_are_told(
    served_matching: RunningMatching, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, MOT)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe1,2")
    for command in (
        [str(tmp_path / "missing")],
        [str(binary)],
        [path, "--out", path],
        [path, "--out", str(tmp_path / "no" / "folder")],
    ):
        assert main(["track", *command, "--server", served_matching.address]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert Path(path).read_text() == MOT


def test_a_failure_leaves_the_lines_until_then(
    served_matching: RunningMatching, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = served_matching.service.on_tracked

    def failing(request: pb.TrackRequest) -> pb.TrackResponse | None:
        if request.frame.frame_index == 3:
            raise grpc.RpcError
        response: pb.TrackResponse | None = answer(request)
        return response

    served_matching.service.on_tracked = failing
    assert main(["track", written(tmp_path, MOT), "--server", served_matching.address]) == 1
    captured = capsys.readouterr()
    assert captured.out == "".join(TRACKED.splitlines(keepends=True)[:2])
    assert "UNKNOWN" in captured.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full here")
def test_a_full_disk_is_one_line_and_exit_code_1(
    served_matching: RunningMatching, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["track", written(tmp_path, MOT), "--out", "/dev/full", "--server", served_matching.address]
    assert main(command) == 1
    assert capsys.readouterr().err == "retinue: --out /dev/full: No space left on device\n"
