"""`retinue segment` against a real server; what all commands that ask do is tested with `retinue classify`."""

import csv
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import cv2
import grpc
import pytest

from retinue.cli.arguments import BLENDS
from retinue.cli.main import main
from retinue.client.segmentation_tiling import Blend
from retinue.segmentation.v1 import segmentation_pb2 as pb
from tests.unit.client.scripted_segmentation import RunningSegmentation, answer, result_for


def test_a_folder_is_answered_by_tables(
    served_segmentation: RunningSegmentation, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", str(pictures), "--server", served_segmentation.address]) == 0
    captured = capsys.readouterr()
    heads = [line.split()[:3] for line in captured.out.splitlines() if "instances" in line and "share" not in line]
    assert heads == [[str(pictures / name), "3", "instances"] for name in ("a.png", "b.PNG", "inner/a.png")]
    assert captured.err == "", "no bar where nobody looks"


def test_json_has_one_object_per_line(
    served_segmentation: RunningSegmentation, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", str(pictures / "*.png"), "--json", "--server", served_segmentation.address]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told["file"] == str(pictures / "a.png")
    assert told["classes"] == [
        {"label_id": 0, "label": "background", "pixel_count": 830, "instance_count": 0},
        {"label_id": 1, "label": "coin", "pixel_count": 330, "instance_count": 2},
        {"label_id": 2, "label": "token", "pixel_count": 40, "instance_count": 1},
    ]
    assert told["instances"][0] == {
        "id": 1,
        "label_id": 1,
        "label": "coin",
        "score": 0.875,
        "area_px": 80,
        "centroid": [10.0, 8.0],
        "box": [5, 4, 15, 12],
    }
    assert told["model"] == {"name": "rounds", "version": "2"}
    assert told["timings"]["infer_s"] == 1.0


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_bad_files_are_told_in_their_places_and_the_rest_goes_on(
    served_segmentation: RunningSegmentation, pictures: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    (pictures / "bad.png").write_bytes(b"bad")
    names = [str(pictures / name) for name in ("a.png", "missing.png", "bad.png", "b.PNG")]
    assert main(["segment", *names, "--server", served_segmentation.address, *option]) == 1
    told = capsys.readouterr().out
    places = [told.index(name) for name in names]
    assert places == sorted(places)
    assert places[1] < told.index("PICTURE_UNREADABLE") < places[2] < told.index("INVALID_IMAGE") < places[3]


def test_options_reach_the_service(served_segmentation: RunningSegmentation, pictures: Path) -> None:
    options = ["--model", "rounds@2", "--score", "0.25", "--threshold", "0.5", "--min-area", "0", "--max", "7"]
    more = ["--tile", "640", "--overlap", "64", "--blend", "mean", "--out", str(pictures / "drawn")]
    assert main(["segment", str(pictures / "a.png"), "--server", served_segmentation.address, *options, *more]) == 0
    (request,) = served_segmentation.service.requests
    assert (request.model.name, request.model.version, request.images[0].id) == ("rounds", "2", "a.png")
    assert request.options == pb.SegmentationOptions(
        mask_threshold=0.5,
        score_threshold=0.25,
        min_area_px=0,
        max_instances=7,
        tiling=pb.SegmentationTiling(tile_size_px=640, overlap_px=64, blend=pb.TILE_BLEND_MEAN),
    )


def test_masks_are_not_sent_where_nobody_looks_at_them(
    served_segmentation: RunningSegmentation, pictures: Path
) -> None:
    assert main(["segment", str(pictures / "a.png"), "--server", served_segmentation.address]) == 0
    assert served_segmentation.service.requests[0].options == pb.SegmentationOptions(
        class_map_encoding=pb.CLASS_MAP_ENCODING_NONE, is_instance_mask_omitted=True
    )


@pytest.mark.parametrize("option", [["--overlap", "16"], ["--blend", "crop"]])
def test_a_part_of_tiling_is_enough(
    served_segmentation: RunningSegmentation, pictures: Path, option: list[str]
) -> None:
    assert main(["segment", str(pictures / "a.png"), "--server", served_segmentation.address, *option]) == 0
    assert served_segmentation.service.requests[0].options.HasField("tiling")


def test_drawings_are_written_beside_each_other(served_segmentation: RunningSegmentation, pictures: Path) -> None:
    out = pictures / "drawn"
    assert main(["segment", str(pictures), "--server", served_segmentation.address, "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["a-segments-2.png", "a-segments.png", "b-segments.png"]
    drawn = cv2.imread(str(out / "a-segments.png"))
    assert drawn is not None
    assert drawn.shape[1] == 960


def test_instances_are_written_as_csv(
    served_segmentation: RunningSegmentation, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "all.csv"
    (pictures / "bad.png").write_bytes(b"bad")
    assert main(["segment", str(pictures), "--server", served_segmentation.address, "--csv", str(path)]) == 1
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [str(pictures / name) for name in ("a.png", "b.PNG", "inner/a.png")]
    assert [(row["file"], row["id"]) for row in rows] == [(name, str(number)) for name in names for number in (1, 2, 3)]
    assert "INVALID_IMAGE" in capsys.readouterr().out


def test_a_picture_is_not_written_over_by_its_csv(
    served_segmentation: RunningSegmentation, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = pictures / "a.png"
    kept = picture.read_bytes()
    assert main(["segment", str(pictures), "--server", served_segmentation.address, "--csv", str(picture)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert picture.read_bytes() == kept


def test_answers_come_in_the_order_of_the_files_whichever_is_ready_first(
    served_segmentation: RunningSegmentation, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    is_second_there = threading.Event()

    def batch(request: pb.BatchSegmentRequest, _context: grpc.ServicerContext) -> pb.BatchSegmentResponse:
        if request.images[0].id == "a.png":
            is_second_there.wait(30)
        else:
            is_second_there.set()
        return pb.BatchSegmentResponse(results=[result_for(image) for image in request.images])

    served_segmentation.service.on_batch = batch
    names = [str(pictures / name) for name in ("a.png", "b.PNG")]
    assert main(["segment", *names, "--json", "--server", served_segmentation.address]) == 0
    assert [json.loads(line)["file"] for line in capsys.readouterr().out.splitlines()] == names


def test_a_failed_service_is_one_line_and_the_answers_until_then_are_printed(
    served_segmentation: RunningSegmentation, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def batch(request: pb.BatchSegmentRequest, context: grpc.ServicerContext) -> Any:
        if request.images[0].id == "b.PNG":
            context.abort(grpc.StatusCode.INTERNAL, "broken")
        return pb.BatchSegmentResponse(results=[result_for(image) for image in request.images])

    served_segmentation.service.on_batch = batch
    names = [str(pictures / name) for name in ("a.png", "b.PNG")]
    assert main(["segment", *names, "--server", served_segmentation.address]) == 1
    captured = capsys.readouterr()
    assert "3 instances" in captured.out
    assert "1 of 2 pictures were answered" in captured.err
    assert captured.err.count("\n") == 1


def test_nothing_of_a_name_or_label_steers_the_terminal(
    served_segmentation: RunningSegmentation, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    response = answer()
    response.classes[1].label.name = "[red]coin\x1b[31m\n"
    served_segmentation.service.on_batch = lambda *_: pb.BatchSegmentResponse(
        results=[pb.SegmentResult(response=response)]
    )
    path = pictures / "\x1b[2J.png"
    path.write_bytes(b"x")
    for option in ([], ["--json"]):
        assert main(["segment", str(path), "--server", served_segmentation.address, *option]) == 0
        told = capsys.readouterr().out
        assert "\x1b" not in told
        assert "[red]coin" in told


def test_slides_without_tifffile_say_what_to_install() -> None:
    code = """
import sys
sys.modules["tifffile"] = None
from retinue.cli.main import main
sys.exit(main(["segment", "--slide", "x.tif"]))
"""
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "retinue: --slide needs tifffile: pip install 'retinue[slides]'\n"


def test_the_blends_are_those_of_the_client() -> None:
    """They are written twice, so that help needs no client."""
    assert Blend.__args__ == BLENDS  # type: ignore[attr-defined]  # of a Literal
