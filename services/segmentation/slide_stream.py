"""One slide from the first message of its stream to the last: tiles in, finished tiles, things and a summary out."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinue.common.v1 import model_pb2
from retinue.ops import MergedInstance
from retinue.runtime.caller import Caller
from retinue.runtime.errors import InvalidInput, LimitExceeded
from retinue.runtime.picture import PictureLimits
from retinue.runtime.segmentation_manifest import InstanceManifest
from retinue.segmentation.v1 import segmentation_pb2 as pb
from retinue.serving.wire import model_ref_of, picture_of, timings_of
from services.segmentation.messages import class_map_png, class_regions, slide_instance_of
from services.segmentation.options import Forms
from services.segmentation.segmentations import Codes, SegmentationOptions
from services.segmentation.slides import CodeRows, Geometry, TileRows
from services.segmentation.things import is_wanted, thing_of
from services.segmentation.windows import SegmentationEngine, Tiling, Windows

_INSTANCES_PER_MESSAGE = 256


@dataclass(frozen=True, slots=True)
class Slide:
    """What the first message of a stream says.

    Args:
        image_id: the caller's name for it.
        geometry: what its tiles will be.
        tiling: how windows are laid.
        options: what the caller wants.
        forms: how it is to be written.
    """

    image_id: str
    geometry: Geometry
    tiling: Tiling
    options: SegmentationOptions
    forms: Forms


class SlideStream:
    """Answers one slide.

    Args:
        engine: what looks at it.
        slide: what is to come, and what is wanted of it.
        limits: on single tiles.
        caller: who waits.
    """

    def __init__(self, engine: SegmentationEngine, slide: Slide, limits: PictureLimits, caller: Caller) -> None:
        self._engine = engine
        self._image_id = slide.image_id
        self._options = slide.options
        self._forms = slide.forms
        self._limits = limits
        self._tiles = TileRows(slide.geometry)
        self._codes = CodeRows(slide.geometry)
        size = (slide.geometry.height, slide.geometry.width)
        self._windows = Windows(engine, size, slide.tiling, slide.options, caller)
        self._labels = engine.manifest.labels
        self._pixel_counts = np.zeros(len(self._labels), np.int64)
        self._instance_counts = np.zeros(len(self._labels), np.int64)
        self._instance_areas = np.zeros(len(self._labels), np.int64)
        self._decode_s = 0.0

    def answers(
        self, tiles: Iterator[pb.SegmentStreamRequest], is_tile_there: Callable[[], bool]
    ) -> Iterator[pb.SegmentStreamResponse]:
        """Yield what is finished as the tiles come, and at the end the summary.

        Windows are looked at while more tiles come; a sender who waits for what they give is not waited for.

        Args:
            tiles: the messages after the first.
            is_tile_there: says whether the next would not have to be waited for.

        Raises:
            InvalidInput: a message is none of a tile, or does not fit what was said of the slide.
            LimitExceeded: there are more instances than the caller allows.
            RetinueError: a tile cannot be read, or a window failed.
        """
        try:
            for message in tiles:
                for rows in self._rows_of(message):
                    for done in self._windows.add(rows):
                        yield from self._written(done.rows, done.things)
                if not is_tile_there():
                    for done in self._windows.settle():
                        yield from self._written(done.rows, done.things)
            self._tiles.check_complete()
            for done in self._windows.finish():
                yield from self._written(done.rows, done.things)
        finally:
            self._windows.close()
        yield pb.SegmentStreamResponse(summary=self._summary())

    def _rows_of(self, message: pb.SegmentStreamRequest) -> Iterator[NDArray[np.uint8]]:
        """Read a tile and yield the row of tiles that it fills."""
        if message.WhichOneof("message") != "tile":
            raise InvalidInput("message", "after start each message must be a tile")
        tile = message.tile
        height, width = self._tiles.expected_size(tile.x, tile.y)
        picture = picture_of(tile.image, self._limits, "tile.image")
        place = f"tile x={tile.x}, y={tile.y}"
        if picture.info.exif_orientation != 1:
            raise InvalidInput("tile.image", f"{place} has an EXIF orientation of {picture.info.exif_orientation}")
        if (picture.info.height, picture.info.width) != (height, width):
            size = f"{picture.info.width} x {picture.info.height}"
            raise InvalidInput("tile.image", f"{place} is {size} pixels; the geometry says {width} x {height}")
        begin_s = time.monotonic()
        pixels = picture.pixels()
        self._decode_s += time.monotonic() - begin_s
        yield from self._tiles.add(tile.x, tile.y, pixels)

    def _written(self, rows: Codes, things: Sequence[MergedInstance]) -> Iterator[pb.SegmentStreamResponse]:
        for x, y, codes in self._codes.add(rows):
            regions = class_regions(codes, self._labels, self._forms.classes)
            self._pixel_counts += [region.pixel_count for region in regions]
            tile = pb.SegmentedTile(
                x=x,
                y=y,
                width=codes.shape[1],
                height=codes.shape[0],
                classes=regions,
                class_map_png=class_map_png(codes, self._forms.classes),
            )
            yield pb.SegmentStreamResponse(tile=tile)
        wanted = [thing for thing in map(thing_of, things) if is_wanted(thing, self._options)]
        for begin in range(0, len(wanted), _INSTANCES_PER_MESSAGE):
            messages = []
            for thing in wanted[begin : begin + _INSTANCES_PER_MESSAGE]:
                number = int(self._instance_counts.sum()) + 1
                if number > self._options.max_instances:
                    most = self._options.max_instances
                    raise LimitExceeded(f"the slide has more than {most} instances", limit=str(most))
                self._instance_counts[thing.label_id] += 1
                self._instance_areas[thing.label_id] += thing.area
                messages.append(slide_instance_of(number, thing, self._labels, self._forms.masks))
            yield pb.SegmentStreamResponse(instances=pb.SlideInstances(instances=messages))

    def _summary(self) -> pb.SlideSummary:
        timings = self._windows.timings
        timings.decode_s += self._decode_s
        return pb.SlideSummary(
            image_id=self._image_id,
            classes=[
                pb.SlideClassSummary(
                    label=model_pb2.Label(id=class_id, name=name),
                    pixel_count=int(self._pixel_counts[class_id]),
                    instance_count=int(self._instance_counts[class_id]),
                    instance_area_px=int(self._instance_areas[class_id]),
                )
                for class_id, name in enumerate(self._labels)
            ],
            tile_count=self._tiles.tile_count,
            instance_count=int(self._instance_counts.sum()),
            model=model_ref_of(self._engine.manifest),
            timings=timings_of(timings),
            is_semantic_only=not isinstance(self._engine.manifest, InstanceManifest),
        )
