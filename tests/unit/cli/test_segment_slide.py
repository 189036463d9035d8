"""`retinue segment --slide` against a real server."""

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from retinue.cli.main import main
from retinue.cli.slide_file import TILE_HEIGHT, TILE_WIDTH
from retinue.segmentation.v1 import segmentation_pb2 as pb
from tests.unit.client.scripted_segmentation import (
    CLASS_OF,
    RunningSegmentation,
    slide_answers,
    slide_instance,
    things,
)

HEIGHT, WIDTH = 300, 1100


def label_map() -> NDArray[np.int32]:
    """Return things of which one lies across four tiles."""
    numbers = np.zeros((HEIGHT, WIDTH), np.int32)
    part = things()
    numbers[240 : 240 + part.shape[0], 1010 : 1010 + part.shape[1]] = part
    return numbers


@pytest.fixture
def slide(tmp_path: Path, served_segmentation: RunningSegmentation) -> Path:
    """A slide, and a service that finds on it what `label_map` says."""
    served_segmentation.service.on_slide = lambda start, tiles, _: slide_answers(start, tiles, label_map())
    path = tmp_path / "slide.tif"
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(128, 128), compression="zlib")
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_slide_becomes_a_label_image_and_rows(
    slide: Path, served_segmentation: RunningSegmentation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["segment", "--slide", str(slide), "--out", str(out), "--server", served_segmentation.address]) == 0
    captured = capsys.readouterr()
    assert captured.err == "", "no bar where nobody looks"
    assert [line.split() for line in captured.out.splitlines()] == [
        [str(slide), "3", "instances"],
        ["class", "pixels", "share", "instances"],
        ["background", "329630", "99.89%", "0"],
        ["coin", "330", "0.10%", "2"],
        ["token", "40", "0.01%", "1"],
        [str(out / "slide-classes.tif")],
        [str(out / "slide-classes.csv")],
        [str(out / "slide-instances.tif")],
        [str(out / "slide-instances.csv")],
    ]
    assert sorted(path.name for path in out.iterdir()) == [
        *("slide-classes.csv", "slide-classes.tif"),
        *("slide-instances.csv", "slide-instances.tif"),
    ]
    assert_the_classes_are_there(slide, out / "slide-classes.tif", out / "slide-classes.csv")
    with tifffile.TiffFile(out / "slide-instances.tif") as file:
        assert (file.pages.first.dtype, file.pages.first.is_tiled) == (np.dtype(np.int32), True)
    np.testing.assert_array_equal(tifffile.imread(out / "slide-instances.tif"), label_map())
    found = rows(out / "slide-instances.csv")
    assert [row["id"] for row in found] == ["1", "2", "3"]
    assert found[0] == {
        "file": str(slide),
        "id": "1",
        "label": "coin",
        "score": "0.875",
        "area_px": "80",
        "centroid_x": "1020.00",
        "centroid_y": "248.00",
        "x_min": "1015",
        "y_min": "244",
        "x_max": "1025",
        "y_max": "252",
    }


def assert_the_classes_are_there(slide: Path, image: Path, table: Path) -> None:
    with tifffile.TiffFile(image) as file:
        assert (file.pages.first.dtype, file.pages.first.is_tiled) == (np.dtype(np.uint8), True)
    np.testing.assert_array_equal(tifffile.imread(image), np.array(CLASS_OF)[label_map()])
    found = rows(table)
    assert [(row["label_id"], row["label"], row["area_px"]) for row in found] == [
        ("0", "background", "329630"),
        ("1", "coin", "330"),
        ("2", "token", "40"),
    ]
    assert found[1] == {
        "file": str(slide),
        "label_id": "1",
        "label": "coin",
        "area_px": "330",
        "share": "0.001000",
        "instance_count": found[1]["instance_count"],
        "instance_area_px": found[1]["instance_area_px"],
    }


def _semantic(start: pb.SlideStart, tiles: Iterator[Any], _: grpc.ServicerContext) -> Iterator[Any]:
    """Say what `label_map` says, and nothing of its things."""
    for response in slide_answers(start, tiles, label_map()):
        if response.HasField("summary"):
            response.summary.is_semantic_only = True
            response.summary.instance_count = 0
            for one in response.summary.classes:
                one.instance_count = one.instance_area_px = 0
        if not response.HasField("instances"):
            yield response


def test_a_model_of_classes_only_writes_those(
    slide: Path, served_segmentation: RunningSegmentation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served_segmentation.service.on_slide = _semantic
    out = tmp_path / "out"
    command = ["segment", "--slide", str(slide), "--out", str(out), "--server", served_segmentation.address]
    assert main(command) == 0
    assert sorted(path.name for path in out.iterdir()) == ["slide-classes.csv", "slide-classes.tif"]
    assert_the_classes_are_there(slide, out / "slide-classes.tif", out / "slide-classes.csv")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == [str(slide)]
    assert lines[2:] == [
        ["background", "329630", "99.89%", "0"],
        ["coin", "330", "0.10%", "0"],
        ["token", "40", "0.01%", "0"],
        [str(out / "slide-classes.tif")],
        [str(out / "slide-classes.csv")],
    ]


@pytest.mark.parametrize(("target", "name"), [("all.csv", "all.csv"), ("rows/", "rows/slide-classes.csv")])
def test_the_classes_may_go_elsewhere_where_there_are_no_instances(
    slide: Path,
    served_segmentation: RunningSegmentation,
    tmp_path: Path,
    target: str,
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    served_segmentation.service.on_slide = _semantic
    out = tmp_path / "out"
    command = ["segment", "--slide", str(slide), "--out", str(out), "--server", served_segmentation.address]
    assert main([*command, "--json", "--csv", f"{tmp_path}/{target}"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["class_image"], told["class_csv"]) == (str(out / "slide-classes.tif"), str(tmp_path / name))
    assert not {"label_image", "csv"} & set(told)
    assert [path.name for path in out.iterdir()] == ["slide-classes.tif"]
    assert [path.name for path in (tmp_path / name).parent.glob("*.csv*")] == [Path(name).name]
    assert_the_classes_are_there(slide, out / "slide-classes.tif", tmp_path / name)


def test_more_classes_than_a_byte_holds_make_wider_pixels(
    slide: Path, served_segmentation: RunningSegmentation, tmp_path: Path
) -> None:
    def many(start: pb.SlideStart, tiles: Iterator[Any], _: grpc.ServicerContext) -> Iterator[Any]:
        for response in slide_answers(start, tiles, label_map()):
            for class_id in range(3, 300) if response.HasField("tile") else ():
                region = response.tile.classes.add()
                region.label.id = class_id
            yield response

    served_segmentation.service.on_slide = many
    command = ["segment", "--slide", str(slide), "--out", str(tmp_path), "--server", served_segmentation.address]
    assert main(command) == 0
    assert tifffile.imread(tmp_path / "slide-classes.tif").dtype == np.uint16


def test_pixels_and_options_reach_the_service(
    slide: Path, served_segmentation: RunningSegmentation, tmp_path: Path
) -> None:
    options = ["--model", "rounds@2", "--tile", "640", "--overlap", "64", "--min-area", "5", "--threshold", "0.5"]
    command = ["segment", "--slide", str(slide), "--out", str(tmp_path), "--server", served_segmentation.address]
    assert main([*command, *options]) == 0
    start, *tiles = served_segmentation.service.requests
    assert (start.start.image_id, start.start.model.version) == ("slide.tif", "2")
    assert start.start.geometry == pb.SlideGeometry(
        width=WIDTH, height=HEIGHT, tile_width=TILE_WIDTH, tile_height=TILE_HEIGHT
    )
    assert start.start.options == pb.SegmentationOptions(
        mask_threshold=0.5,
        min_area_px=5,
        class_map_encoding=pb.CLASS_MAP_ENCODING_RLE,
        instance_encoding=start.start.options.instance_encoding,
        tiling=pb.SegmentationTiling(tile_size_px=640, overlap_px=64),
    )
    assert not start.start.options.is_instance_mask_omitted
    whole = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for message in tiles:
        x, y, raw = message.tile.x, message.tile.y, message.tile.image.raw
        pixels = np.frombuffer(raw.pixels, np.uint8).reshape(raw.height, raw.width, 3)
        whole[y : y + raw.height, x : x + raw.width] = pixels
    np.testing.assert_array_equal(whole, tifffile.imread(slide))


def test_the_rows_may_go_elsewhere_and_json_says_where(
    slide: Path, served_segmentation: RunningSegmentation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["segment", "--slide", str(slide), "--out", str(tmp_path), "--server", served_segmentation.address]
    for target, path in (("all.csv", "all.csv"), ("rows/", "rows/slide-instances.csv")):
        assert main([*command, "--json", "--csv", f"{tmp_path}/{target}"]) == 0
        (line,) = capsys.readouterr().out.splitlines()
        told = json.loads(line)
        assert told["csv"] == str(tmp_path / path)
        assert len(rows(Path(told["csv"]))) == told["instance_count"] == 3
        assert told["image"] == {"width": WIDTH, "height": HEIGHT}
        assert told["classes"][1] == {
            "label_id": 1,
            "label": "coin",
            "pixel_count": 330,
            "instance_count": 2,
            "instance_area_px": 330,
        }
        assert all(Path(told[key]).exists() for key in ("label_image", "class_image", "class_csv"))


@pytest.mark.parametrize("name", ["slide.tif", "slide-instances.tif"])
def test_the_slide_is_never_written_over(
    slide: Path, served_segmentation: RunningSegmentation, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = slide.rename(tmp_path / name)
    kept = path.read_bytes()
    command = ["segment", "--slide", str(path), "--out", str(tmp_path), "--server", served_segmentation.address]
    assert main(command) == 0
    assert main([*command, "--csv", str(path)]) == 2
    assert "it is the slide" in capsys.readouterr().err
    assert path.read_bytes() == kept


def _refusing(_start: pb.SlideStart, tiles: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
    next(tiles)
    yield pb.SegmentStreamResponse(
        instances=pb.SlideInstances(instances=[slide_instance(number, label_map() == number) for number in (1, 2)])
    )
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the slide has more than 2 instances")


def _outside(_start: pb.SlideStart, _tiles: Iterator[Any], _context: grpc.ServicerContext) -> Iterator[Any]:
    one = slide_instance(1, label_map() == 1)
    one.box.x_min += 200
    one.box.x_max += 200
    yield pb.SegmentStreamResponse(instances=pb.SlideInstances(instances=[one]))


def _beside(start: pb.SlideStart, tiles: Iterator[Any], _context: grpc.ServicerContext) -> Iterator[Any]:
    for response in slide_answers(start, tiles, label_map()):
        if response.HasField("tile"):
            response.tile.x += 200
        yield response


def _empty(start: pb.SlideStart, tiles: Iterator[Any], _context: grpc.ServicerContext) -> Iterator[Any]:
    return (one for one in slide_answers(start, tiles, label_map()) if not one.HasField("tile"))


@pytest.mark.parametrize(
    ("on_slide", "problem"),
    [
        (_refusing, "more than 2 instances"),
        (_outside, "instance 1 does not lie in the picture"),
        (_beside, "tile x=200, y=0 does not lie in the picture"),
        (_empty, "there was no tile"),
    ],
)
def test_a_failed_slide_is_one_line_and_leaves_nothing_behind(
    slide: Path,
    served_segmentation: RunningSegmentation,
    tmp_path: Path,
    on_slide: Any,
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    served_segmentation.service.on_slide = on_slide
    command = ["segment", "--slide", str(slide), "--out", str(out), "--server", served_segmentation.address]
    assert main(command) in {1, 2}
    captured = capsys.readouterr()
    assert problem in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert list(out.iterdir()) == []


def test_a_slide_that_breaks_off_is_one_line_and_leaves_nothing_behind(
    slide: Path, served_segmentation: RunningSegmentation, tmp_path: Path
) -> None:
    """In a process of its own, since libtiff has something to say as well."""
    with tifffile.TiffFile(slide) as file:
        place = file.pages.first.dataoffsets[20]
    slide.write_bytes(slide.read_bytes()[:place] + bytes(100) + slide.read_bytes()[place + 100 :])
    out = tmp_path / "out"
    command = ["segment", "--slide", str(slide), "--out", str(out), "--server", served_segmentation.address]
    run = "import sys; from retinue.cli.main import main; sys.exit(main(sys.argv[1:]))"
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", run, *command], capture_output=True, text=True, check=False, env=environment
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "slide.tif: tile 20 cannot be decoded" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(out.iterdir()) == []


def test_a_slide_without_things_is_an_ordinary_one(
    slide: Path, served_segmentation: RunningSegmentation, tmp_path: Path
) -> None:
    nothing = partial(slide_answers, label_map=np.zeros((HEIGHT, WIDTH), np.int32))
    served_segmentation.service.on_slide = lambda start, tiles, _: nothing(start, tiles)
    command = ["segment", "--slide", str(slide), "--out", str(tmp_path), "--server", served_segmentation.address]
    assert main(command) == 0
    assert not tifffile.imread(tmp_path / "slide-instances.tif").any()
    assert rows(tmp_path / "slide-instances.csv") == []


def test_a_folder_that_cannot_be_made_is_one_line(
    slide: Path, served_segmentation: RunningSegmentation, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["segment", "--slide", str(slide), "--out", str(slide), "--server", served_segmentation.address]
    assert main(command) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert served_segmentation.service.requests == []
