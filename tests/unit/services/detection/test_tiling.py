"""Large pictures through tiles: nothing lost, nothing told twice, and nothing left behind."""

import gc
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from retinue.runtime.caller import Caller
from retinue.runtime.deferred import Deferred
from retinue.runtime.engine import Engine
from retinue.runtime.errors import BackendFailed, Cancelled, DeadlineExceeded, InvalidImage, Overloaded
from retinue.runtime.slots import Slots
from retinue.runtime.ticket import Ticket
from retinue.runtime.view import WholePicture
from services.detection.detections import DetectionItem, Detections
from services.detection.pipeline import DetectionPipeline
from services.detection.tiling import TiledPicture, Tiling
from services.detection.views import SharedPicture
from tests.unit.services.detection.held_picture import PATIENCE_S, HeldPicture, running_engine
from tests.unit.services.detection.tiny_detectors import (
    item_of,
    options_with,
    picture_of,
    pipeline_of,
    plain,
    write_squares,
    write_yolo,
)

DetectionEngine = Engine[DetectionItem, Detections]
# On tiles of 64 pixels: one box that ends at the right edge, one that begins 8 pixels from the left.
TABLE = [[52, 20, 24, 20, 0.6, 0.0], [24, 20, 32, 20, 0.5, 0.9]]


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> DetectionPipeline:
    return pipeline_of(write_squares(tmp_path_factory.mktemp("models")))


@pytest.fixture
def engine(squares: DetectionPipeline) -> Iterator[DetectionEngine]:
    with running_engine(squares) as one:
        yield one


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[DetectionEngine]:
    """A detector that finds the same two boxes wherever it looks."""
    with running_engine(pipeline_of(write_yolo(tmp_path, TABLE, labels=("ring", "disc")))) as one:
        yield one


def tiling(
    tile_size_px: int = 64, overlap_px: int = 12, *, is_whole_picture_added: bool = False, **merge: Any
) -> Tiling:
    return Tiling(
        tile_size_px,
        overlap_px,
        merge.get("metric", "ios"),
        merge.get("threshold", 0.5),
        is_whole_picture_added=is_whole_picture_added,
    )


def tiled(engine: DetectionEngine, picture: Any, cut: Tiling | None = None, **asked: Any) -> Deferred[Detections]:
    caller, slots = asked.pop("caller", Caller()), asked.pop("slots", Slots(1))
    if isinstance(picture, np.ndarray):
        picture = picture_of(picture)
    options = options_with(**{"score_threshold": 0.5} | asked)
    return Deferred(TiledPicture(engine, picture, options, cut or tiling(), caller, slots))


def field_of_squares(*corners: tuple[int, int], height: int = 100, width: int = 150) -> NDArray[np.uint8]:
    """Return a black picture with a bright square of 6 x 6 pixels at each corner x, y."""
    pixels = plain(0, height, width)
    for x, y in corners:
        pixels[y : y + 6, x : x + 6] = 255
    return pixels


# --- what is found


def test_things_are_found_where_they_lie_on_the_picture(engine: DetectionEngine) -> None:
    corners = [(0, 0), (144, 0), (70, 50), (144, 94), (3, 90)]
    found = tiled(engine, field_of_squares(*corners)).wait()
    assert sorted(found.boxes[:, :2].tolist()) == sorted(map(list, corners))
    assert_array_equal(found.boxes[:, 2:] - found.boxes[:, :2], 6)
    assert_array_equal(found.scores, 1)
    assert found.manifest.name == "squares"


def test_a_thing_on_several_tiles_is_told_once(engine: DetectionEngine) -> None:
    """Tiles of 64 that overlap by 32 all see the middle."""
    found = tiled(engine, field_of_squares((46, 46), height=96, width=96), tiling(64, 32)).wait()
    assert found.boxes.tolist() == [[46, 46, 52, 52]]


def test_the_parts_of_a_thing_become_one(tables: DetectionEngine) -> None:
    """Tiles begin at 0 and 32; on the second the second box begins where the first one begins on the first."""
    found = tiled(tables, plain(255, 64, 96), tiling(64, 32), is_class_agnostic=True).wait()
    assert found.boxes.tolist() == [[8, 10, 40, 30], [40, 10, 72, 30], [72, 10, 96, 30]]
    assert_allclose(found.scores, [0.9, 0.9, 0.6], rtol=1e-6)
    assert found.label_ids.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("merge", "asked"),
    [
        ({}, {"is_class_agnostic": False}),
        ({"metric": "iou", "threshold": 0.8}, {"is_class_agnostic": True}),  # their IoU is 24 / 32
    ],
    ids=["other classes", "too little overlap"],
)
def test_what_is_not_one_thing_is_not_merged(tables: DetectionEngine, merge: Any, asked: Any) -> None:
    found = tiled(tables, plain(255, 64, 96), tiling(64, 32, **merge), **asked).wait()
    assert sorted(found.boxes[:, 0].tolist()) == [8, 40, 40, 72]


def test_answers_are_best_first_and_equal_scores_in_the_order_of_the_tiles(tables: DetectionEngine) -> None:
    found = tiled(tables, plain(255, 64, 192), tiling(64, 0)).wait()
    assert_allclose(found.scores, [0.9] * 3 + [0.6] * 3, rtol=1e-6)
    assert found.boxes[:, 0].tolist() == [8, 72, 136, 40, 104, 168]
    assert found.label_ids.tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("most", [1, 2, 4, 100])
def test_no_more_is_told_than_was_asked_for(tables: DetectionEngine, most: int) -> None:
    everything = tiled(tables, plain(255, 64, 192), tiling(64, 0)).wait()
    found = tiled(tables, plain(255, 64, 192), tiling(64, 0), max_detections=most).wait()
    assert_array_equal(found.scores, everything.scores[:most])
    assert len(found.boxes) == len(found.label_ids) == len(found.scores) == min(most, 6)


def test_one_tile_is_the_whole_picture(engine: DetectionEngine) -> None:
    pixels = field_of_squares((5, 5), (40, 50), height=64, width=64)
    (alone,) = [engine.submit(item_of(pixels, score_threshold=0.5), Caller()).wait()]
    for size in (64, 200, 2**31 - 1):
        for is_whole_picture_added in (False, True):
            one = tiled(engine, pixels, tiling(size, 0, is_whole_picture_added=is_whole_picture_added))
            found = one.wait()
            assert_array_equal(found.boxes, alone.boxes)
            assert_array_equal(found.scores, alone.scores)
            assert engine.statistics.snapshot().inference_count > 0


def test_the_whole_picture_is_looked_at_where_that_is_asked_for(engine: DetectionEngine) -> None:
    """A square of 12 pixels on 128 is one of 6 on 64; its holes hide it from tiles and are gone at half the size."""
    pixels = plain(0, 128, 128)
    pixels[40:52, 70:82] = 255
    pixels[40:52:2, 70:82:2] = 0
    assert len(tiled(engine, pixels, tiling(64, 0)).wait().boxes) == 0
    found = tiled(engine, pixels, tiling(64, 0, is_whole_picture_added=True)).wait()
    assert found.boxes.tolist() == [[70, 40, 82, 52]]


def test_nothing_is_found_on_nothing(engine: DetectionEngine) -> None:
    found = tiled(engine, plain(0, 130, 130)).wait()
    assert (found.boxes.shape, found.label_ids.shape, found.scores.shape) == ((0, 4), (0,), (0,))


def test_times_are_the_sum_over_the_tiles(engine: DetectionEngine) -> None:
    one = tiled(engine, field_of_squares(height=64, width=640), tiling(64, 0))
    one.wait()
    assert engine.statistics.snapshot().inference_count == 10
    assert one.timings.infer_s > 0
    assert one.timings.preprocess_s > 0
    assert 1 <= one.timings.batch_size <= 4


def test_an_answer_may_be_asked_for_twice(engine: DetectionEngine) -> None:
    one = tiled(engine, field_of_squares((9, 9)))
    assert one.wait_error() is None
    assert one.wait() is one.wait()
    assert engine.statistics.snapshot().inference_count == 6


# --- how it shares the engine


class Watched:
    """An engine that writes down how many of its tickets were open at each submission."""

    def __init__(self, engine: DetectionEngine) -> None:
        self._engine = engine
        self.size = engine.size
        self.tickets: list[Ticket[DetectionItem, Detections]] = []
        self.open_counts: list[int] = []
        self.byte_counts: list[int] = []

    def submit(
        self, item: DetectionItem, caller: Caller, *, byte_count: int, is_patient: bool = False
    ) -> Ticket[DetectionItem, Detections]:
        ticket = self._engine.submit(item, caller, byte_count=byte_count, is_patient=is_patient)
        self.tickets.append(ticket)
        self.open_counts.append(sum(not one.is_settled for one in self.tickets))
        self.byte_counts.append(byte_count)
        return ticket


def test_few_tiles_are_under_way_at_once_and_the_picture_is_decoded_once(squares: DetectionPipeline) -> None:
    picture = HeldPicture(field_of_squares((70, 70), height=640, width=640))
    with running_engine(squares, workers=2, max_batch_size=3) as engine, ThreadPoolExecutor(1) as pool:
        watched: Any = Watched(engine)
        waiting = pool.submit(tiled(watched, picture, tiling(64, 0)).wait)
        assert picture.is_looked_at.wait(PATIENCE_S)
        picture.gate.set()
        assert waiting.result(PATIENCE_S).boxes.tolist() == [[70, 70, 76, 76]]
    assert len(watched.tickets) == 100
    assert max(watched.open_counts) <= 12  # twice two workers times three
    assert picture.count == 1
    assert watched.byte_counts == [10] + [0] * 99


@pytest.mark.parametrize("max_queue_items", [1, 2, 3])
def test_a_full_queue_is_waited_for_while_a_tile_is_under_way(squares: DetectionPipeline, max_queue_items: int) -> None:
    with running_engine(squares, max_queue_items=max_queue_items) as engine:
        found = tiled(engine, field_of_squares((70, 70), (140, 3))).wait()
    assert sorted(found.boxes[:, 0].tolist()) == [70, 140]


def test_a_queue_full_of_others_is_told_at_once(squares: DetectionPipeline) -> None:
    blocking, waiting = HeldPicture(plain(0)), picture_of(plain(0))
    with running_engine(squares, max_batch_size=1, max_queue_items=1) as engine:
        first = engine.submit(DetectionItem(WholePicture(blocking), options_with()), Caller())
        assert blocking.is_looked_at.wait(PATIENCE_S)
        second = engine.submit(DetectionItem(WholePicture(waiting), options_with()), Caller())
        slots = Slots(1)
        one = tiled(engine, plain(0), slots=slots)
        assert isinstance(one.wait_error(), Overloaded)
        with pytest.raises(Overloaded):
            one.wait()
        blocking.gate.set()
        first.wait()
        second.wait()
        assert tiled(engine, plain(0), slots=slots).wait_error() is None


# --- how it ends early


def test_a_deadline_that_passes_between_tiles_ends_it(squares: DetectionPipeline) -> None:
    picture, slots = HeldPicture(plain(0, 640, 640)), Slots(1)
    with running_engine(squares) as engine:
        watched: Any = Watched(engine)
        one = tiled(watched, picture, caller=Caller(time.monotonic() + 0.05), slots=slots)
        assert isinstance(one.wait_error(), DeadlineExceeded)
        assert all(ticket.is_settled for ticket in watched.tickets)
        with slots.held(Caller(0.0)):  # at once
            pass
        picture.gate.set()
    assert len(watched.tickets) == 8


def test_a_deadline_that_passes_before_a_slot_is_free_ends_it(engine: DetectionEngine) -> None:
    slots = Slots(1)
    with slots.held(Caller()):
        one = tiled(engine, plain(0), slots=slots, caller=Caller(time.monotonic() + 0.01))
        assert isinstance(one.wait_error(), DeadlineExceeded)
    assert engine.statistics.snapshot().inference_count == 0


def test_a_caller_who_leaves_leaves_nothing_behind(squares: DetectionPipeline) -> None:
    picture, slots, caller = HeldPicture(plain(0, 640, 640)), Slots(1), Caller()
    with running_engine(squares) as engine, ThreadPoolExecutor(1) as pool:
        watched: Any = Watched(engine)
        waiting = pool.submit(tiled(watched, picture, caller=caller, slots=slots).wait_error)
        assert picture.is_looked_at.wait(PATIENCE_S)
        caller.cancel()
        assert isinstance(waiting.result(PATIENCE_S), Cancelled)
        assert all(ticket.is_settled for ticket in watched.tickets)
        with slots.held(Caller(0.0)):  # although a worker still decodes
            assert not picture.gate.is_set()
        picture.gate.set()
        assert tiled(engine, plain(0), slots=slots).wait_error() is None
    assert len(watched.tickets) <= 9
    assert not caller._cancellers


def test_a_picture_that_cannot_be_decoded_fails_once(squares: DetectionPipeline) -> None:
    picture = HeldPicture(plain(0, 640, 640), InvalidImage("image.encoded", "is no picture"))
    picture.gate.set()
    with running_engine(squares) as engine:
        watched: Any = Watched(engine)
        error = tiled(watched, picture).wait_error()
        assert isinstance(error, InvalidImage)
        assert all(ticket.is_settled for ticket in watched.tickets)
    assert picture.count <= 10  # of more than a hundred tiles


def test_a_fault_on_one_tile_is_the_pictures_failure(squares: DetectionPipeline) -> None:
    """And says what it was to the log, and to nobody else."""
    picture = HeldPicture(plain(0), KeyError("surprise"))
    picture.gate.set()
    with running_engine(squares) as engine:
        error = tiled(engine, picture).wait_error()
    assert isinstance(error, BackendFailed)
    assert isinstance(error.__cause__, KeyError)
    assert "surprise" not in error.message


@pytest.mark.parametrize("failure", [None, InvalidImage("image", "is none"), KeyError("surprise")])
def test_no_decoded_picture_outlives_its_answer(squares: DetectionPipeline, failure: Exception | None) -> None:
    """Not until the garbage collector comes by, either: it comes seldom, and these are large."""
    picture = HeldPicture(plain(0, 640, 640), failure)
    picture.gate.set()
    gc.collect()
    gc.disable()
    try:
        with running_engine(squares) as engine:
            one = tiled(engine, picture)
            assert (one.wait_error() is None) == (failure is None)
        assert not [thing for thing in gc.get_objects() if type(thing) is SharedPicture]
    finally:
        gc.enable()


def test_many_pictures_share_few_slots(squares: DetectionPipeline) -> None:
    slots, lock, held = Slots(2), threading.Lock(), [0, 0]

    class Slotted(HeldPicture):
        def pixels(self) -> NDArray[np.uint8]:
            with lock:
                held[0] += 1
                held[1] = max(held)
            return super().pixels()

    pictures = [Slotted(field_of_squares((number, 70))) for number in range(6)]
    with running_engine(squares, workers=2) as engine, ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(tiled(engine, picture, slots=slots).wait) for picture in pictures]
        for picture in pictures:
            picture.gate.set()
        found = [one.result(PATIENCE_S) for one in waiting]
    assert [one.boxes[0, 0] for one in found] == list(range(6))
    assert held[0] == 6  # each once
