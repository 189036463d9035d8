"""Requests to the segmentation service, and what its answers say in arrays."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from google.rpc.status_pb2 import Status
from numpy.typing import NDArray
from PIL import Image

from retinue.common.v1 import geometry_pb2, image_pb2, model_pb2
from retinue.ops import rle_decode, rle_from_polygons, rle_from_string
from retinue.segmentation.v1 import segmentation_pb2 as pb
from tests.unit.services.segmentation.tiny_segmenters import PATIENCE_S
from tests.unit.serving.in_process import status_of


def image_of(pixels: NDArray[np.uint8], *, image_id: str = "") -> image_pb2.Image:
    """Return a PNG."""
    return image_pb2.Image(encoded=cv2.imencode(".png", pixels[..., ::-1])[1].tobytes(), id=image_id)


def raw_image_of(pixels: NDArray[np.uint8], *, image_id: str = "") -> image_pb2.Image:
    height, width = pixels.shape[:2]
    return image_pb2.Image(raw=image_pb2.RawImage(height=height, width=width, pixels=pixels.tobytes()), id=image_id)


def turned_image_of(pixels: NDArray[np.uint8], orientation: int) -> image_pb2.Image:
    """Return a PNG that shows these pixels once it is turned as its EXIF orientation says."""
    stored = {1: pixels, 3: np.rot90(pixels, 2), 6: np.rot90(pixels, 1), 8: np.rot90(pixels, -1)}[orientation]
    file, exif = BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(file, "PNG", exif=exif)
    return image_pb2.Image(encoded=file.getvalue())


def damaged_image_of(pixels: NDArray[np.uint8]) -> image_pb2.Image:
    """Return a PNG whose header is whole and whose pixels are not."""
    data = image_of(pixels).encoded
    return image_pb2.Image(encoded=data[:45] + bytes(len(data) - 61) + data[-16:])


def options_of(*thresholds: tuple[str, float], tiling: Any = None, **options: Any) -> pb.SegmentationOptions:
    message = pb.SegmentationOptions(**options)
    for name, threshold in thresholds:
        message.class_thresholds.add(class_name=name, threshold=threshold)
    if tiling is not None:
        message.tiling.CopyFrom(pb.SegmentationTiling(**tiling))
    return message


def request_of(
    image: image_pb2.Image, *thresholds: tuple[str, float], model: Any = "", version: Any = "", **options: Any
) -> pb.SegmentRequest:
    reference = model_pb2.ModelRef(name=model, version=version)
    return pb.SegmentRequest(image=image, model=reference, options=options_of(*thresholds, **options))


def batch_of(*images: image_pb2.Image, model: Any = "", **options: Any) -> pb.BatchSegmentRequest:
    reference = model_pb2.ModelRef(name=model)
    return pb.BatchSegmentRequest(images=images, model=reference, options=options_of(**options))


def start_of(
    height: int,
    width: int,
    tile_height: int = 64,
    tile_width: int = 64,
    *,
    model: str = "",
    image_id: str = "",
    **options: Any,
) -> pb.SegmentStreamRequest:
    geometry = pb.SlideGeometry(width=width, height=height, tile_width=tile_width, tile_height=tile_height)
    start = pb.SlideStart(
        image_id=image_id, geometry=geometry, model=model_pb2.ModelRef(name=model), options=options_of(**options)
    )
    return pb.SegmentStreamRequest(start=start)


def tile_of(x: int, y: int, image: image_pb2.Image) -> pb.SegmentStreamRequest:
    return pb.SegmentStreamRequest(tile=pb.SlideTile(x=x, y=y, image=image))


def tiles_of(
    pixels: NDArray[np.uint8], tile_height: int = 64, tile_width: int = 64, *, order: Any = None
) -> Iterator[pb.SegmentStreamRequest]:
    """Yield the tiles of a picture, rows from the top down; ``order`` shuffles the list of a row's edges in place."""
    for y in range(0, pixels.shape[0], tile_height):
        edges = list(range(0, pixels.shape[1], tile_width))
        if order is not None:
            order(edges)
        for x in edges:
            yield tile_of(x, y, raw_image_of(np.ascontiguousarray(pixels[y : y + tile_height, x : x + tile_width])))


def stream_of(
    pixels: NDArray[np.uint8], tile_height: int = 64, tile_width: int = 64, *, order: Any = None, **start: Any
) -> Iterator[pb.SegmentStreamRequest]:
    yield start_of(pixels.shape[0], pixels.shape[1], tile_height, tile_width, **start)
    yield from tiles_of(pixels, tile_height, tile_width, order=order)


def refusal(call: Any, request: Any, timeout: float = PATIENCE_S) -> tuple[grpc.StatusCode, Status]:
    """Return code and rich status of a call that fails; of a stream, once all of it is read."""

    def ask() -> None:
        answer = call(request, timeout=timeout)
        if isinstance(answer, grpc.RpcError):
            list(answer)  # type: ignore[call-overload]  # a stream, which is an error as well

    with pytest.raises(grpc.RpcError) as caught:
        ask()
    return caught.value.code(), status_of(caught.value)


# --- answers


def mask_pixels(mask: geometry_pb2.Mask, height: int, width: int) -> NDArray[np.bool_]:
    """Return the pixels of a mask in any form; one that is written with its size has to have this one."""
    kind = mask.WhichOneof("encoding")
    if kind == "rle":
        return rle_pixels(mask.rle, height, width)
    if kind == "png":
        pixels = png_pixels(mask.png)
        assert pixels.shape == (height, width)
        assert set(np.unique(pixels)) <= {0, 255}
        return np.asarray(pixels > 0)
    assert kind == "polygons"
    rings = [np.array(polygon.vertices_xy).reshape(-1, 2) for polygon in mask.polygons.polygons]
    return rle_decode(rle_from_polygons(rings, height, width)).astype(np.bool_)


def rle_pixels(mask: geometry_pb2.CocoRle, height: int, width: int) -> NDArray[np.bool_]:
    assert (mask.height, mask.width) == (height, width)
    return rle_decode(rle_from_string(mask.counts, height, width)).astype(np.bool_)


def png_pixels(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), np.uint8)


def class_map(regions: Iterable[pb.ClassRegion], height: int, width: int) -> NDArray[np.int64]:
    """Return the class of each pixel of regions that share none; -1 where there is none."""
    codes = np.full((height, width), -1)
    for region in regions:
        mask = rle_pixels(region.mask, height, width)
        assert (codes[mask] == -1).all()
        assert mask.sum() == region.pixel_count
        codes[mask] = region.label.id
    return codes


Fact = tuple[int, int, tuple[float, ...], tuple[float, ...]]


@dataclass
class Streamed:
    """All that came back from a stream, put together."""

    codes: NDArray[np.int64]
    tiles: list[tuple[int, int]]
    instances: list[pb.SlideInstance]
    summary: pb.SlideSummary

    @classmethod
    def of(cls, responses: Iterable[pb.SegmentStreamResponse], height: int, width: int) -> "Streamed":
        codes, tiles = np.full((height, width), -2), []
        instances: list[pb.SlideInstance] = []
        summary = None
        for response in responses:
            assert summary is None  # it is the last
            kind = response.WhichOneof("message")
            if kind == "tile":
                tile = response.tile
                place = (slice(tile.y, tile.y + tile.height), slice(tile.x, tile.x + tile.width))
                assert (codes[place] == -2).all()  # no tile comes twice
                if tile.class_map_png:
                    codes[place] = png_pixels(tile.class_map_png)
                elif tile.classes[0].HasField("mask"):
                    codes[place] = class_map(tile.classes, tile.height, tile.width)
                else:
                    codes[place] = -1
                tiles.append((tile.x, tile.y))
            elif kind == "instances":
                assert response.instances.instances
                instances += response.instances.instances
            else:
                summary = response.summary
        assert summary is not None
        return cls(codes, tiles, instances, summary)

    def pixels_of(self, instance: pb.SlideInstance) -> NDArray[np.bool_]:
        """Return an instance in the frame of the whole picture."""
        box = instance.box
        left, top, right, bottom = (int(edge) for edge in (box.x_min, box.y_min, box.x_max, box.y_max))
        mask = np.zeros(self.codes.shape, np.bool_)
        mask[top:bottom, left:right] = mask_pixels(instance.box_mask, bottom - top, right - left)
        return mask


def facts_of(instances: Iterable[pb.Instance] | Iterable[pb.SlideInstance]) -> list[Fact]:
    """Return what does not hang on where seams lie, in a fixed order."""
    return sorted(
        (
            one.label.id,
            one.area_px,
            (one.box.x_min, one.box.y_min, one.box.x_max, one.box.y_max),
            (round(one.centroid.x, 2), round(one.centroid.y, 2)),
        )
        for one in instances
    )
