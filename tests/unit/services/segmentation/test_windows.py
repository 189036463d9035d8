"""Windows over a picture that comes by rows: in little memory, in order, and as the whole would be."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from retinue.ops import plan_tiles
from retinue.ops.tiles import Axis
from retinue.runtime.caller import Caller
from retinue.runtime.errors import BackendFailed, Cancelled, Overloaded
from services.segmentation.pipeline import SegmentationPipeline
from services.segmentation.things import thing_of
from services.segmentation.windows import Done, Tiling, Windows, _core
from tests.unit.services.segmentation.tiny_segmenters import (
    answer,
    black,
    idle_engine,
    item_of,
    options_with,
    pipeline_of,
    running_engine,
    with_discs,
    write_segmenter,
)

DISCS, COUNT = with_discs(130, 210)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> SegmentationPipeline:
    return pipeline_of(write_segmenter(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module")
def poisonable(tmp_path_factory: pytest.TempPathFactory) -> SegmentationPipeline:
    return pipeline_of(write_segmenter(tmp_path_factory.mktemp("models"), is_poisonable=True))


def tiling_of(side: int = 48, overlap: int = 20, blend: Any = "crop", reach: int = 8) -> Tiling:
    return Tiling(side, overlap, blend, reach)


def by_rows(windows: Windows, pixels: NDArray[np.uint8], step: int) -> Iterator[Done]:
    for top in range(0, len(pixels), step):
        yield from windows.add(pixels[top : top + step])
    yield from windows.finish()


@pytest.mark.parametrize("step", [1, 7, 48, 130])
@pytest.mark.parametrize("blend", ["crop", "mean", "gaussian"])
@pytest.mark.parametrize("thresholds", [(None,) * 3, (0.5, 0.5, 0.5)])
def test_rows_and_things_are_those_of_the_whole(
    pipeline: SegmentationPipeline, step: int, blend: Any, thresholds: Any
) -> None:
    options = options_with(thresholds)
    whole = answer(pipeline, DISCS, thresholds=thresholds)
    with running_engine(pipeline) as engine:
        windows = Windows(engine, (130, 210), tiling_of(blend=blend), options, Caller())
        done = list(by_rows(windows, DISCS, step))
    assert_array_equal(np.concatenate([one.rows for one in done if len(one.rows)]), whole.codes)
    things = [thing_of(one) for part in done for one in part.things]
    assert len(things) == COUNT
    covered = np.zeros((130, 210), np.int64)
    for thing in things:
        covered[thing.crop.y :, thing.crop.x :][: thing.crop.mask.shape[0], : thing.crop.mask.shape[1]] += (
            thing.crop.mask
        )
    assert_array_equal(covered, DISCS.max(axis=2) > 0)


def test_rows_of_the_sender_may_be_written_over_when_they_are_taken(pipeline: SegmentationPipeline) -> None:
    buffer = np.empty((32, 210, 3), np.uint8)
    with running_engine(pipeline) as engine:
        windows, done = Windows(engine, (130, 210), tiling_of(), options_with(), Caller()), []
        for top in range(0, 130, 32):
            part = DISCS[top : top + 32]
            buffer[: len(part)] = part
            done += list(windows.add(buffer[: len(part)]))
            buffer[:] = 77
        done += list(windows.finish())
    assert_array_equal(np.concatenate([one.rows for one in done if len(one.rows)]), answer(pipeline, DISCS).codes)


def test_what_rows_finish_is_there_when_they_are_settled(pipeline: SegmentationPipeline) -> None:
    """Things that lie above the next row of windows, and rows up to the middle of its overlap."""
    pixels = black(200, 40)
    pixels[5:20, 5:20, 0] = pixels[40:60, 5:20, 0] = 230
    with running_engine(pipeline) as engine:
        windows = Windows(engine, (200, 40), tiling_of(64, 20), options_with(), Caller())
        done = [*windows.add(pixels[:63]), *windows.settle()]
        assert done == []
        done = [*windows.add(pixels[63:64]), *windows.settle()]
        assert sum(len(one.rows) for one in done) == 54
        assert [one.box for part in done for one in part.things] == [(5, 5, 20, 20)]
        windows.close()


def test_of_a_tall_picture_one_row_of_windows_is_held(pipeline: SegmentationPipeline) -> None:
    with running_engine(pipeline) as engine:
        windows = Windows(engine, (3000, 50), tiling_of(), options_with(), Caller())
        row = black(100, 50)
        row[20:40, 10:30, 0] = 230
        for _ in range(30):
            for _ in windows.add(row):
                pass
            assert windows._pixels.shape == (48, 50, 3)
            assert len(windows._under_way) <= 8
            assert sum(tile.labels.size for tile in windows._merger._tiles) < 3 * 48 * 50
        assert sum(len(done.things) for done in windows.finish()) < 5


def test_timings_are_those_of_all_windows(pipeline: SegmentationPipeline) -> None:
    with running_engine(pipeline, max_batch_size=2) as engine:
        windows = Windows(engine, (130, 210), tiling_of(), options_with(), Caller())
        list(by_rows(windows, DISCS, 130))
    assert windows.timings.infer_s > 0
    assert windows.timings.batch_size == 2


def test_a_full_queue_is_waited_for_only_where_a_window_is_under_way(pipeline: SegmentationPipeline) -> None:
    with running_engine(pipeline, max_queue_items=1) as engine:
        windows = Windows(engine, (130, 210), tiling_of(), options_with(), Caller())
        assert sum(len(done.rows) for done in by_rows(windows, DISCS, 130)) == 130
    full = idle_engine(pipeline, max_queue_items=1)
    full.submit(item_of(black(4, 4)), Caller())
    windows = Windows(full, (130, 210), tiling_of(), options_with(), Caller())
    with pytest.raises(Overloaded):
        list(windows.add(DISCS))
    full.close()


def test_a_window_that_fails_fails_the_picture_and_the_rest_is_let_go(poisonable: SegmentationPipeline) -> None:
    pixels = DISCS.copy()
    pixels[5, 5, 2] = 255
    engine = idle_engine(poisonable)
    windows = Windows(engine, (130, 210), tiling_of(), options_with(), Caller())
    engine.start()
    with pytest.raises(BackendFailed, match="not finite"):
        list(by_rows(windows, pixels, 130))
    under_way = [ticket for ticket, _ in windows._under_way]
    windows.close()
    assert all(ticket.is_settled for ticket in under_way)
    assert engine.close(20)


def test_a_fault_of_ours_fails_the_picture_as_a_fault_of_the_model_does(
    pipeline: SegmentationPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that in a batch its neighbours are answered."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(pipeline, "_codes", fail)
    with running_engine(pipeline) as engine:
        windows = Windows(engine, (130, 210), tiling_of(), options_with(), Caller())
        with pytest.raises(BackendFailed) as caught:
            list(by_rows(windows, DISCS, 130))
        windows.close()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_caller_who_has_left_is_not_worked_for(pipeline: SegmentationPipeline) -> None:
    caller = Caller()
    caller.cancel()
    with running_engine(pipeline) as engine:
        windows = Windows(engine, (130, 210), tiling_of(), options_with(), caller)
        with pytest.raises(Cancelled):
            list(by_rows(windows, DISCS, 130))
        windows.close()


# --- where things are told of


def cores(axis: Axis, reach: int) -> list[tuple[int, int]]:
    """Return where the core of each window begins and ends in the picture."""
    found = []
    for index in range(axis.count):
        core = _core(axis, index, reach)
        found.append((axis.start(index) + core.start, axis.start(index) + core.stop))
    return found


@pytest.mark.parametrize("size", [1, 31, 32, 33, 50, 63, 64, 65, 100, 257])
@pytest.mark.parametrize(("tile", "overlap"), [(32, 0), (32, 1), (32, 15), (32, 16), (33, 16), (64, 21)])
@pytest.mark.parametrize("reach", [0, 1, 5, 8, 100])
def test_cores_cover_the_picture_and_meet_where_windows_do(size: int, tile: int, overlap: int, reach: int) -> None:
    axis = plan_tiles(size, 1, tile, overlap).rows
    edges = cores(axis, reach)
    assert edges[0][0] == 0
    assert edges[-1][1] == size
    for index, ((begin, end), (next_begin, next_end)) in enumerate(pairwise(edges)):
        shared = end - next_begin
        assert begin <= next_begin
        assert end <= next_end
        seen_by_both = axis.end(index) - axis.start(index + 1)
        if seen_by_both:
            assert 1 <= shared <= seen_by_both
            assert shared in (1, 2, seen_by_both - 2 * reach)
            trimmed = min(reach, (seen_by_both - 1) // 2)
            assert axis.end(index) - end == next_begin - axis.start(index + 1) == trimmed
        else:
            assert shared == 0


def test_from_an_overlap_of_the_receptive_field_on_no_core_is_seen_by_less_than_it_needs() -> None:
    """A field of 17 pixels reaches 8 beyond each; an overlap of 17 leaves one that both windows know."""
    axis = plan_tiles(200, 1, 64, 17).rows
    for index, (begin, end) in enumerate(cores(axis, 8)):
        assert begin == 0 or begin - axis.start(index) >= 8
        assert end == 200 or axis.end(index) - end >= 8


def test_a_picture_of_one_window_is_all_core(tmp_path: Path) -> None:
    assert cores(plan_tiles(20, 1, 64, 32).rows, 16) == [(0, 20)]
