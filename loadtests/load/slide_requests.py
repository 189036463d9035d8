"""Slides for the segmentation stream: one large picture, sent tile by tile."""

import io
import math
from collections.abc import Sequence

from PIL import Image

from loadtests.load.pictures import sample_paths
from retinue.common.v1 import image_pb2
from retinue.segmentation.v1 import segmentation_pb2 as pb

TILE_PX = 256


def slide_requests(tile_count: int, seed: int) -> Sequence[Sequence[pb.SegmentStreamRequest]]:
    """Return the messages of one slide for each sample: its start, then about so many tiles, row by row.

    Args:
        tile_count: tiles wanted; rounded up to full rows.
        seed: which quality the tiles are encoded with.
    """
    columns = max(1, math.isqrt(tile_count))
    rows = -(-tile_count // columns)
    return [_slide(str(path), columns, rows, quality=80 + seed % 10) for path in sample_paths("segmentation")[:2]]


def _slide(path: str, columns: int, rows: int, quality: int) -> Sequence[pb.SegmentStreamRequest]:
    with Image.open(path) as opened:
        slide = opened.convert("RGB").resize((columns * TILE_PX, rows * TILE_PX), Image.Resampling.BICUBIC)
    geometry = pb.SlideGeometry(width=slide.width, height=slide.height, tile_width=TILE_PX, tile_height=TILE_PX)
    messages = [pb.SegmentStreamRequest(start=pb.SlideStart(image_id=path, geometry=geometry))]
    for row in range(rows):
        for column in range(columns):
            x, y = column * TILE_PX, row * TILE_PX
            output = io.BytesIO()
            slide.crop((x, y, x + TILE_PX, y + TILE_PX)).save(output, "JPEG", quality=quality)
            image = image_pb2.Image(encoded=output.getvalue())
            messages.append(pb.SegmentStreamRequest(tile=pb.SlideTile(x=x, y=y, image=image)))
    return messages
