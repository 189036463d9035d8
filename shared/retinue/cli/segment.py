"""`retinue segment`: pictures or one slide, classes as tables, as JSON lines, or drawn, and instances as CSV."""

import argparse
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from retinue.cli.answer_lines import AnswerLines, json_number
from retinue.cli.instance_csv import InstanceCsv
from retinue.cli.picture_files import find_pictures
from retinue.cli.picture_run import PictureRun, Report
from retinue.cli.refusal import Refused
from retinue.cli.segmentation_table import SegmentationTable
from retinue.client.errors import ItemError
from retinue.client.segmentation import SegmentationClient
from retinue.client.segmentation_answer import SegmentationAnswer
from retinue.client.segmentation_drawing import draw_segmentation
from retinue.client.segmentation_request import SegmentKeywords
from retinue.client.segmentation_tiling import SegmentationTiling

_IN_FLIGHT = 4  # pictures asked about at a time


def run(arguments: argparse.Namespace) -> int:
    """Segment the pictures or the slide and return 0, or 1 if any of them has no answer or no drawing.

    Raises:
        Refused: an argument cannot be used; or the service failed, and the answers until then are printed.
    """
    if arguments.slide is not None:
        if arguments.images:
            raise Refused("--slide is one file; there are no other pictures beside it")
        try:
            from retinue.cli.segment_slide import run_slide  # noqa: PLC0415 - tifffile is an extra
        except ModuleNotFoundError as error:
            if error.name != "tifffile":
                raise
            raise Refused("--slide needs tifffile: pip install 'retinue[slides]'") from error
        return run_slide(arguments, segment_keywords(arguments))
    if not arguments.images:
        raise Refused("name at least one picture, or a slide by --slide")
    keywords = segment_keywords(arguments)
    if arguments.out is None:  # nobody looks at masks
        keywords |= SegmentKeywords(class_map="none", instance_masks="none")
    report: Report[SegmentationAnswer] = AnswerLines(_findings) if arguments.json else SegmentationTable()
    with ExitStack() as stack:
        if arguments.csv is not None:
            pictures = find_pictures(arguments.images, drawings=arguments.out)
            report = _WithCsv(report, stack.enter_context(InstanceCsv(arguments.csv, pictures)))
        asked: PictureRun[SegmentationClient, SegmentationAnswer] = PictureRun(
            client=SegmentationClient,
            ask=partial(_ask, keywords),
            report=report,
            draw=partial(draw_segmentation, is_numbered=arguments.csv is not None),
            suffix="segments",
        )
        return asked.run(arguments)


def segment_keywords(arguments: argparse.Namespace) -> SegmentKeywords:
    """Return what the arguments ask of the service.

    Raises:
        Refused: tiles are out of range.
    """
    tiling = None
    if not arguments.tile is arguments.overlap is arguments.blend is None:
        try:
            tiling = SegmentationTiling(arguments.tile, arguments.overlap, arguments.blend)
        except ValueError as error:
            problem = str(error).replace("tiling.tile_size_px", "--tile").replace("tiling.overlap_px", "--overlap")
            raise Refused(problem) from error
    return SegmentKeywords(
        model=arguments.model,
        mask_threshold=arguments.threshold,
        score_threshold=arguments.score_threshold,
        min_area_px=arguments.min_area,
        max_instances=arguments.max_instances,
        tiling=tiling,
    )


class _WithCsv:
    """Reports each result and writes its instances as CSV."""

    def __init__(self, report: Report[SegmentationAnswer], rows: InstanceCsv) -> None:
        self._report = report
        self._rows = rows

    def add(self, file: Path, result: SegmentationAnswer | ItemError) -> None:
        """Take the result of one picture."""
        self._report.add(file, result)
        if not isinstance(result, ItemError):
            self._rows.write(file, enumerate(result.instances, 1))

    def finish(self) -> None:
        """Tell what has not been told yet."""
        self._report.finish()


def _ask(
    keywords: SegmentKeywords, client: SegmentationClient, files: list[Path]
) -> Iterator[SegmentationAnswer | ItemError]:
    """Return what comes of each file, in their order; a keyword that cannot be sent is told at once."""
    client.segment_batch([], **keywords)
    return _in_order(keywords, client, files)


def _in_order(
    keywords: SegmentKeywords, client: SegmentationClient, files: list[Path]
) -> Iterator[SegmentationAnswer | ItemError]:
    """Yield what comes of each file, several asked about at a time.

    Each goes as a batch of one, so that what is wrong with a picture is told from what is wrong with the call.
    """
    pool = ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix="retinue-segment")
    under_way: deque[Future[list[SegmentationAnswer | ItemError]]] = deque()
    waiting = iter(files)
    try:
        while True:
            for file in waiting:
                under_way.append(pool.submit(client.segment_batch, [file], **keywords))
                if len(under_way) >= _IN_FLIGHT:
                    break
            if not under_way:
                return
            yield from under_way.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _findings(answer: SegmentationAnswer) -> dict[str, Any]:
    counts = Counter(one.label_id for one in answer.instances)
    return {
        "classes": [
            {
                "label_id": one.label_id,
                "label": one.label,
                "pixel_count": one.pixel_count,
                "instance_count": counts[one.label_id],
            }
            for one in answer.classes
        ],
        "instances": [
            {
                "id": number,
                "label_id": one.label_id,
                "label": one.label,
                "score": json_number(one.score),
                "area_px": one.area_px,
                "centroid": [round(place, 2) for place in one.centroid],
                "box": list(one.box),
            }
            for number, one in enumerate(answer.instances, 1)
        ],
    }
