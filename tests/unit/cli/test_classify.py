import itertools
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import pytest

from retinue.classification.v1 import classification_pb2 as pb
from retinue.cli.main import main
from tests.unit.client.scripted_service import Running, answer, result_for, running


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_folder_is_answered_as_a_table(served: Running, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", str(pictures), "--server", served.address]) == 0
    captured = capsys.readouterr()
    header, *rows = captured.out.splitlines()
    assert header.split() == ["file", "label", "score", "unknown?", "ms"]
    assert [row.split() for row in rows] == [
        [str(pictures / name), "cat", "0.750", "no", "(0.500)", "1001.0"] for name in ("a.png", "b.PNG", "inner/a.png")
    ]
    assert captured.err == "", "no bar where nobody looks"


def test_as_many_labels_as_asked_for_are_shown(
    served: Running, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["classify", str(pictures / "a.png"), "--server", served.address, "--top-k", "2"])
    _, first, second = capsys.readouterr().out.splitlines()
    assert "cat" in first
    assert second.split() == ["dog", "0.125"]


def test_json_has_one_object_per_line(served: Running, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", str(pictures / "*.png"), "--json", "--server", served.address]) == 0
    (found,) = lines(capsys.readouterr().out)
    assert found == {
        "file": str(pictures / "a.png"),
        "labels": [{"id": 3, "name": "cat", "score": 0.75}, {"id": 0, "name": "dog", "score": 0.125}],
        "is_unknown": False,
        "unknown_score": 0.5,
        "model": {"name": "pets", "version": "2"},
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


def test_numbers_of_json_are_short_and_always_numbers(
    served: Running, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def odd(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[pb.ClassifyStreamResponse]:
        for _ in requests:
            response = answer(score=0.9)  # 0.8999999761581421 as float32
            response.unknown_score = float("inf")
            yield pb.ClassifyStreamResponse(result=pb.ClassifyResult(response=response))

    served.service.on_stream = odd
    main(["classify", str(pictures / "a.png"), "--json", "--server", served.address])
    (found,) = lines(capsys.readouterr().out)
    assert found["labels"][0]["score"] == 0.9
    assert found["unknown_score"] is None


def test_bad_files_are_told_in_their_places_and_the_rest_goes_on(
    served: Running, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "bad.png").write_bytes(b"bad")
    (pictures / "empty.png").write_bytes(b"")
    names = [str(pictures / name) for name in ("a.png", "missing.png", "bad.png", "empty.png", "b.PNG")]
    assert main(["classify", *names, "--json", "--server", served.address]) == 1
    found = lines(capsys.readouterr().out)
    assert [one["file"] for one in found] == names
    assert [one["error"]["reason"] for one in found if "error" in one] == [
        "PICTURE_UNREADABLE",
        "INVALID_IMAGE",
        "PICTURE_INVALID",
    ]
    assert main(["classify", *names, "--server", served.address]) == 1
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split()[-1] == "problem"
    assert rows[2].rstrip().endswith("PICTURE_UNREADABLE: No such file or directory")


def test_options_reach_the_service(served: Running, pictures: Path) -> None:
    received: list[Any] = []

    def kept(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[pb.ClassifyStreamResponse]:
        for request in requests:
            received.append(request.request)
            yield pb.ClassifyStreamResponse(result=result_for(request.request.image))

    served.service.on_stream = kept
    options = ["--model", "pets@2", "--top-k", "7", "--score-threshold", "0.5"]
    main(["classify", str(pictures / "a.png"), "--server", served.address, *options])
    (request,) = received
    assert (request.model.name, request.model.version) == ("pets", "2")
    assert (request.options.top_k, request.options.score_threshold) == (7, 0.5)
    assert request.image.id == "a.png"


def test_drawings_have_names_of_their_own(served: Running, pictures: Path, tmp_path: Path) -> None:
    """Base names collide, and the folder holds pictures that were asked about."""
    asked_about = pictures / "a-labels.png"
    asked_about.write_bytes((pictures / "a.png").read_bytes())
    before = asked_about.read_bytes()
    assert main(["classify", str(pictures), "--server", served.address, "--out", str(pictures)]) == 0
    assert sorted(path.name for path in pictures.glob("*-labels*.png")) == [
        "a-labels-2.png",
        "a-labels-3.png",
        "a-labels-labels.png",
        "a-labels.png",
        "b-labels.png",
    ]
    assert asked_about.read_bytes() == before


def test_drawings_of_last_time_are_written_anew_and_not_asked_about(served: Running, pictures: Path) -> None:
    command = ["classify", str(pictures), "--server", served.address, "--out", str(pictures / "drawn")]
    for _ in range(2):
        assert main(command) == 0
        names = sorted(path.name for path in (pictures / "drawn").iterdir())
        assert names == ["a-labels-2.png", "a-labels.png", "b-labels.png"]


def test_a_drawing_is_the_upright_picture_with_its_panel(served: Running, tmp_path: Path) -> None:
    """The file says by EXIF that it is to be turned by 90 degrees: its bright left half belongs on top."""
    pixels = np.zeros((400, 600, 3), np.uint8)
    pixels[:, :300] = 255
    jpeg = cv2.imencode(".jpg", pixels)[1].tobytes()
    orientation_6 = bytes.fromhex(
        "ffe1 0022 4578 6966 0000 4d4d 002a 0000 0008 0001 0112 0003 0000 0001 0006 0000 0000 0000"
    )
    (tmp_path / "turned.jpg").write_bytes(jpeg[:2] + orientation_6 + jpeg[2:])
    out = tmp_path / "out" / "deep"
    assert main(["classify", str(tmp_path / "turned.jpg"), "--server", served.address, "--out", str(out)]) == 0
    drawn = cv2.imread(str(out / "turned-labels.png"))
    assert drawn is not None
    assert drawn.shape[1] == 400
    assert drawn[:250].min() > 200
    assert drawn[350:550].max() < 50


def test_a_picture_that_cannot_be_drawn_is_told(
    served: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "odd.png").write_bytes(b"the scripted service takes anything")
    assert main(["classify", str(tmp_path / "odd.png"), "--server", served.address, "--out", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert "cat" in captured.out
    assert captured.err.startswith("retinue: no drawing: ")
    assert captured.err.count("\n") == 1


def test_a_folder_for_drawings_that_cannot_be_is_a_wrong_command(
    served: Running, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["classify", str(pictures), "--server", served.address, "--out", str(pictures / "a.png")]
    assert main(command) == 2
    assert "--out" in capsys.readouterr().err
    assert served.service.metadata == []


def test_a_service_that_is_not_there_is_one_line(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running() as gone:
        address = gone.address
    assert main(["classify", str(pictures), "--server", address]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"retinue: {address}: UNAVAILABLE")
    assert captured.err.endswith("; 0 of 3 pictures were answered\n")
    assert captured.err.count("\n") == 1


def test_answers_before_a_failure_are_printed(
    served: Running, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing_later(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[pb.ClassifyStreamResponse]:
        yield pb.ClassifyStreamResponse(result=result_for(next(requests).request.image))
        next(requests)
        context.abort(grpc.StatusCode.INTERNAL, "internal\nerror")

    served.service.on_stream = failing_later
    assert main(["classify", str(pictures), "--server", served.address]) == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert "1 of 3 pictures were answered" in captured.err
    assert captured.err.count("\n") == 1


def test_a_service_that_hangs_is_left(served: Running, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    served.service.on_stream = lambda *_: iter([served.service.released.wait()])
    assert main(["classify", str(pictures), "--server", served.address, "--timeout-s", "0.1"]) == 1
    assert "DEADLINE_EXCEEDED" in capsys.readouterr().err


def test_nothing_of_a_name_or_label_steers_the_terminal(
    served: Running, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def evil(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[pb.ClassifyStreamResponse]:
        for _ in requests:
            response = answer(name="[red]cat\x1b[31m")
            yield pb.ClassifyStreamResponse(result=pb.ClassifyResult(response=response))

    served.service.on_stream = evil
    path = Path(os.fsdecode(os.fsencode(pictures) + b"/\x1b[2J\xff.png"))
    path.write_bytes(b"x")
    for option in ([], ["--json"]):
        assert main(["classify", str(path), "--server", served.address, *option]) == 0
        assert "\x1b" not in capsys.readouterr().out


def test_pictures_are_read_as_they_are_answered(served: Running, tmp_path: Path) -> None:
    """A thousand files are not read at once: the service holds its answers back and looks how far the client comes."""
    for number in range(200):
        (tmp_path / f"{number:03}.png").write_bytes(b"x")
    received = itertools.count()
    is_too_many, counted = threading.Event(), []

    def slow(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[pb.ClassifyStreamResponse]:
        for request in requests:
            counted.append(next(received))
            if len(counted) > 32:
                is_too_many.set()
            if len(counted) == 32:
                assert not is_too_many.wait(0.05)
                for _ in range(32):
                    yield pb.ClassifyStreamResponse(result=result_for(request.request.image))
            elif len(counted) > 32:
                yield pb.ClassifyStreamResponse(result=result_for(request.request.image))

    served.service.on_stream = slow
    assert main(["classify", str(tmp_path), "--json", "--server", served.address]) == 0
    assert len(counted) == 200
