import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import grpc
import pytest

from retinue.classification.v1 import classification_pb2 as pb
from retinue.cli.arguments import NMS_KINDS
from retinue.cli.main import main
from retinue.cli.matching_arguments import BOX_METRICS, MATCH_MODES
from retinue.client.detection_request import Nms
from retinue.client.matching_problems import BoxMetric, MatchMode
from tests.unit.client.scripted_service import Running, result_for

ENVIRONMENT = {"PYTHONPATH": ":".join(filter(None, sys.path))}
RUN = "import sys; from retinue.cli.main import main; sys.exit(main(sys.argv[1:]))"


def test_help_is_there_without_the_heavy_libraries() -> None:
    """Imports are what costs time: grpc 0.1 s, cv2 and pydantic as much again."""
    code = """
import sys
from retinue.cli.main import main
assert main(["--help"]) == 0
heavy = {"cv2", "grpc", "numpy", "onnxruntime", "pydantic", "rich", "torch"} & sys.modules.keys()
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    assert "classify" in done.stdout


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["unknown"],
        ["models"],
        ["classify"],
        ["classify", "a.png", "--top-k", "0"],
        ["classify", "a.png", "--top-k", "x"],
        ["classify", "a.png", "--score-threshold", "1.5"],
        ["classify", "a.png", "--score-threshold", "nan"],
        ["classify", "a.png", "--timeout-s", "0"],
        ["classify", "a.png", "--timeout-s", "inf"],
        ["classify", "a.png", "--server", "nowhere"],
        ["classify", "a.png", "--model", "@2"],
        ["detect"],
        ["detect", "a.png", "--score-threshold", "-0.1"],
        ["detect", "a.png", "--iou", "nan"],
        ["detect", "a.png", "--nms", "greedy"],
        ["detect", "a.png", "--max", "0"],
        ["detect", "a.png", "--class"],
        ["detect", "a.png", "--tile", "31"],
        ["detect", "a.png", "--tile", "64", "--overlap", "33"],
        ["detect", "a.png", "--tile", "64", "--overlap", "-1"],
        ["detect", "a.png", "--overlap", "8"],
        ["match"],
        ["match", "points", "a.csv", "b.csv"],
        ["match", "points", "a.csv", "b.csv", "--radius", "-1"],
        ["match", "points", "a.csv", "b.csv", "--radius", "inf"],
        ["match", "points", "a.csv", "b.csv", "--radius", "1", "--mode", "most"],
        ["match", "points", "a.csv", "b.csv", "--radius", "1", "--json", "--csv", "o.csv"],
        ["match", "boxes", "a.json"],
        ["match", "boxes", "a.json", "b.json", "--threshold", "2"],
        ["match", "boxes", "a.json", "b.json", "--metric", "ciou"],
        ["evaluate"],
        ["evaluate", "--gt", "no.json", "--dt", "no.json"],
        ["track"],
        ["track", "det.txt", "--high-score", "1.5"],
        ["track", "det.txt", "--min-seen", "0"],
        ["segment"],
        ["segment", "a.png", "--slide", "b.tif"],
        ["segment", "--slide", "no/such/slide.tif"],
        ["segment", "a.png", "--threshold", "1.5"],
        ["segment", "a.png", "--min-area", "-1"],
        ["segment", "a.png", "--max", "0"],
        ["segment", "a.png", "--tile", "31"],
        ["segment", "a.png", "--tile", "64", "--overlap", "33"],
        ["segment", "a.png", "--blend", "median"],
        ["segment", "a.png", "--csv", "no/such/folder/x.csv"],
        ["segment", "a.png", "--server", "nowhere"],
        ["segment", "a.png", "--model", "@2"],
        ["models", "import", "weights.pth"],
        ["models", "list", "--root", "no/such/folder"],
    ],
)
def test_a_wrong_command_is_one_line_and_exit_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("retinue")
    assert captured.err.count("\n") == 1


def test_the_version_is_that_of_the_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"1.2.3 of {name}")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "retinue 1.2.3 of retinue\n"


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_pipe_whose_reader_leaves_is_no_traceback(served: Running, pictures: Path, option: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "classify", str(pictures), "--server", served.address, *option],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # before anything is written: importing takes longer than this
        assert process.stderr.read() == b""
        assert process.wait() == 1


def test_an_interrupt_ends_quietly_with_the_code_that_shells_expect(served: Running, pictures: Path) -> None:
    is_asked = threading.Event()

    def hanging(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[pb.ClassifyStreamResponse]:
        is_asked.set()
        yield pb.ClassifyStreamResponse(result=result_for(next(requests).request.image))
        served.service.released.wait()

    served.service.on_stream = hanging
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "classify", str(pictures), "--server", served.address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        assert is_asked.wait(30)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=30)
    assert process.returncode == 130
    assert complaint == ""


def test_choices_are_those_of_the_client() -> None:
    """They are written twice, so that help needs no client."""
    assert get_args(Nms) == NMS_KINDS
    assert get_args(MatchMode) == MATCH_MODES
    assert get_args(BoxMetric) == BOX_METRICS
