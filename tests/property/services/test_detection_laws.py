"""Laws of detection: whoever shares a batch, whatever the size of a picture, however it is cut."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from retinue.ops import merge_boxes
from retinue.runtime.caller import Caller
from retinue.runtime.deferred import Deferred
from retinue.runtime.detection_manifest import NmsKind
from retinue.runtime.slots import Slots
from services.detection.detections import DetectionOptions, Detections
from services.detection.pipeline import DetectionPipeline
from services.detection.tiling import TiledPicture, Tiling
from tests.unit.services.detection.held_picture import PATIENCE_S, idle_engine, running_engine
from tests.unit.services.detection.tiny_detectors import (
    SQUARE_PX,
    answers,
    item_of,
    picture_of,
    pipeline_of,
    plain,
    rpn_graph,
    write_detr,
    write_squares,
    write_two_stage,
    write_yolo,
)

RNG = np.random.default_rng(0)
LOGITS, SHARES = RNG.normal(0, 2, (40, 4)), RNG.uniform(0, 1, (40, 4))
BOXES = np.concatenate([RNG.uniform(0, 64, (60, 2)), RNG.uniform(1, 40, (60, 2))], axis=1)
FREE = np.concatenate([BOXES, RNG.uniform(0, 1, (60, 3))], axis=1)
BASED = np.concatenate([BOXES, RNG.uniform(0, 1, (60, 4))], axis=1)


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DetectionPipeline]:
    root: Path = tmp_path_factory.mktemp("models")
    folders = {
        "two-stage": write_two_stage(root, name="a"),
        # Floats that lie between whole numbers, and nothing to look at on dark pictures.
        "two-stage float": write_two_stage(
            root,
            name="b",
            rpn=rpn_graph(pixels="float32"),
            policy={"pixels": "float32", "size_divisor": 8},
            output={"proposals": {"per_level": 40, "count": 10, "score_threshold": 0.5}},
        ),
        "detr": write_detr(root, LOGITS, SHARES, name="c", policy={"size_divisor": 1, "rounding": "detr"}),
        "free": write_yolo(root, FREE, name="d"),
        "based by two": write_yolo(root, BASED, "anchor_based", name="e", batch=2, policy={"align": "corner"}),
        "bytes by one": write_yolo(root, FREE, name="f", batch=1, policy={"pixels": "uint8", "layout": "nhwc"}),
        "squares": write_squares(root, name="g"),
    }
    return {name: pipeline_of(folder) for name, folder in folders.items()}


FAMILIES = ("two-stage", "two-stage float", "detr", "free", "based by two", "bytes by one")
KINDS: tuple[NmsKind, ...] = get_args(NmsKind)


@dataclass(frozen=True)
class Asked:
    """A picture of noise and what is wanted of it."""

    height: int
    width: int
    brightness: int
    seed: int
    options: dict[str, Any]

    def pixels(self) -> NDArray[np.uint8]:
        rng = np.random.default_rng(self.seed)
        coarse = rng.integers(0, self.brightness + 1, (-(-self.height // 9), -(-self.width // 9), 3))
        return coarse.repeat(9, 0).repeat(9, 1)[: self.height, : self.width].astype(np.uint8)


SHARES_OF_ONE = st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.9, 1.0])
OPTIONS = st.fixed_dictionaries(
    {
        "score_threshold": SHARES_OF_ONE,
        "class_ids": st.sampled_from([None, None, (), (1,), (1, 2)]),
        "nms": st.sampled_from(KINDS),
        "iou_threshold": SHARES_OF_ONE,
        "sigma": st.sampled_from([0.1, 0.5, 3.0]),
        "is_class_agnostic": st.booleans(),
        "max_detections": st.sampled_from([1, 5, 1000]),
    }
)
# Sizes that share an input, sizes that do not, and lines.
SIDES = st.sampled_from([1, 2, 33, 48, 60, 63, 64, 65, 96, 128, 300])
ASKED = st.builds(Asked, SIDES, SIDES, st.sampled_from([0, 90, 255]), st.integers(0, 5), OPTIONS)


def assert_same(one: Detections, other: Detections) -> None:
    """To the last bit."""
    assert_array_equal(one.boxes, other.boxes)
    assert_array_equal(one.label_ids, other.label_ids)
    assert_array_equal(one.scores, other.scores)


@contextmanager
def tiled_by(pipeline: DetectionPipeline, **engine: Any) -> Iterator[Any]:
    with running_engine(pipeline, **engine) as one:

        def look(pixels: NDArray[np.uint8], options: DetectionOptions, tiling: Tiling) -> Detections:
            return Deferred(TiledPicture(one, picture_of(pixels), options, tiling, Caller(), Slots(1))).wait()

        yield look


@pytest.mark.parametrize("family", FAMILIES)
@given(
    asked=st.lists(ASKED, min_size=1, max_size=10),
    workers=st.integers(1, 3),
    max_batch_size=st.integers(1, 5),
)
@settings(max_examples=30, deadline=None)
def test_batched_equals_alone(
    pipelines: dict[str, DetectionPipeline], family: str, asked: list[Asked], workers: int, max_batch_size: int
) -> None:
    """Any mix of sizes and options, through the engine with several workers, whose buffers hold older pictures."""
    pipeline = pipelines[family]
    items = [item_of(one.pixels(), **one.options) for one in asked]
    engine = idle_engine(pipeline, workers=workers, max_batch_size=max_batch_size)
    tickets = [engine.submit(item, Caller()) for item in items]
    engine.start()  # only now, so that batches are as large as may be
    together = [ticket.wait() for ticket in tickets]
    assert engine.close(PATIENCE_S)
    for found, item in zip(together, items, strict=True):
        (alone,) = answers(pipeline, item)
        assert_same(found, alone)


@pytest.mark.parametrize("family", FAMILIES)
@given(asked=ASKED)
@settings(max_examples=50, deadline=None)
def test_answers_are_sorted_within_the_picture_and_no_more_than_asked_for(
    pipelines: dict[str, DetectionPipeline], family: str, asked: Asked
) -> None:
    (found,) = answers(pipelines[family], item_of(asked.pixels(), **asked.options))
    options = asked.options
    assert len(found.boxes) == len(found.label_ids) == len(found.scores) <= options["max_detections"]
    assert (np.diff(found.scores) <= 0).all()
    assert (found.scores >= np.float32(options["score_threshold"])).all()
    assert (found.scores <= 1).all()
    assert (found.boxes >= 0).all()
    assert (found.boxes <= [asked.width, asked.height] * 2).all()
    assert (found.boxes[:, 2:] >= found.boxes[:, :2]).all()
    assert set(found.label_ids.tolist()) <= set(options["class_ids"] if options["class_ids"] is not None else range(3))
    if family.startswith("two-stage"):
        assert (found.label_ids > 0).all()


@pytest.mark.parametrize("family", FAMILIES)
@given(asked=ASKED, more=st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_fewer_detections_are_the_first_of_more(
    pipelines: dict[str, DetectionPipeline], family: str, asked: Asked, more: int
) -> None:
    pixels, options = asked.pixels(), asked.options | {"max_detections": 1000}
    (everything,) = answers(pipelines[family], item_of(pixels, **options))
    (few,) = answers(pipelines[family], item_of(pixels, **options | {"max_detections": more}))
    kept = slice(more)
    assert_array_equal(few.scores, everything.scores[kept])
    assert_array_equal(few.boxes, everything.boxes[kept])


@pytest.mark.parametrize("family", FAMILIES)
@given(
    asked=ASKED,
    beyond=st.integers(0, 40),
    metric=st.sampled_from(["ios", "iou"]),
    threshold=SHARES_OF_ONE,
    is_whole_picture_added=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_one_tile_is_no_tiling_up_to_merging(
    pipelines: dict[str, DetectionPipeline],
    family: str,
    asked: Asked,
    beyond: int,
    metric: Any,
    threshold: float,
    is_whole_picture_added: bool,  # noqa: FBT001
) -> None:
    pixels, pipeline = asked.pixels(), pipelines[family]
    item = item_of(pixels, **asked.options)
    (alone,) = answers(pipeline, item)
    size = max(32, asked.height, asked.width) + beyond
    with tiled_by(pipeline) as look:
        found = look(pixels, item.options, Tiling(size, size // 3, metric, threshold, is_whole_picture_added))
    merged = merge_boxes(
        alone.boxes,
        alone.scores,
        labels=None if item.options.is_class_agnostic else alone.label_ids,
        threshold=threshold,
        metric=metric,
    )
    assert_array_equal(found.boxes, merged.boxes)
    assert_array_equal(found.scores, merged.scores)


@st.composite
def scattered(draw: st.DrawFn) -> tuple[int, int, list[tuple[int, int]]]:
    """Return height and width of a picture, and corners of squares on it that keep a pixel between them."""
    height, width = draw(st.integers(64, 200)), draw(st.integers(64, 200))
    taken = np.zeros((height, width), np.bool_)
    corners = []
    places = st.tuples(st.integers(0, width - SQUARE_PX), st.integers(0, height - SQUARE_PX))
    for x, y in draw(st.lists(places, max_size=12)):
        around = taken[max(0, y - 1) : y + SQUARE_PX + 1, max(0, x - 1) : x + SQUARE_PX + 1]
        if not around.any():
            around[...] = True
            corners.append((x, y))
    return height, width, corners


@given(
    scene=scattered(),
    overlap=st.integers(0, 32),
    workers=st.integers(1, 3),
    max_queue_items=st.sampled_from([1, 4, 64]),
)
@settings(max_examples=80, deadline=None)
def test_tiling_finds_once_whatever_lies_whole_within_a_tile(
    pipelines: dict[str, DetectionPipeline],
    scene: tuple[int, int, list[tuple[int, int]]],
    overlap: int,
    workers: int,
    max_queue_items: int,
) -> None:
    """And nothing else; all of them where tiles overlap by a square's side."""
    height, width, corners = scene
    pixels = plain(0, height, width)
    for x, y in corners:
        pixels[y : y + SQUARE_PX, x : x + SQUARE_PX] = 255
    tiling = Tiling(64, overlap, "ios", 0.5, is_whole_picture_added=False)
    whole = {
        (x, y)
        for x, y in corners
        for tile in tiling.plan(height, width)
        if tile.x <= x <= tile.x + 64 - SQUARE_PX and tile.y <= y <= tile.y + 64 - SQUARE_PX
    }
    options = item_of(pixels, score_threshold=0.5, nms="hard").options
    with tiled_by(pipelines["squares"], workers=workers, max_queue_items=max_queue_items) as look:
        found = look(pixels, options, tiling)
    assert sorted(map(tuple, found.boxes[:, :2].tolist())) == sorted(whole)
    assert_array_equal(found.boxes[:, 2:] - found.boxes[:, :2], SQUARE_PX)
    if overlap >= SQUARE_PX:
        assert whole == set(corners)


@given(
    asked=ASKED,
    tile=st.integers(32, 80),
    workers=st.integers(1, 3),
    max_batch_size=st.integers(1, 4),
    max_queue_items=st.sampled_from([1, 3, 64]),
)
@settings(max_examples=30, deadline=None)
def test_tiles_are_answered_alike_however_many_share_the_work(
    pipelines: dict[str, DetectionPipeline],
    asked: Asked,
    tile: int,
    workers: int,
    max_batch_size: int,
    max_queue_items: int,
) -> None:
    pixels, tiling = asked.pixels(), Tiling(tile, tile // 4, "ios", 0.5, is_whole_picture_added=True)
    options = item_of(pixels, **asked.options).options
    pipeline = pipelines["two-stage"]
    with tiled_by(pipeline) as look:
        one = look(pixels, options, tiling)
    with tiled_by(pipeline, workers=workers, max_batch_size=max_batch_size, max_queue_items=max_queue_items) as look:
        assert_same(look(pixels, options, tiling), one)
    assert len(one.scores) <= options.max_detections
    assert (np.diff(one.scores) <= 0).all()
    assert (one.boxes >= 0).all()
    assert (one.boxes <= [asked.width, asked.height] * 2).all()
