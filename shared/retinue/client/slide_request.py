"""A slide as the messages that are sent: the first says what is to come, then come its tiles."""

from dataclasses import dataclass

from retinue.client.call import Call
from retinue.client.pictures import MAX_ID_CHARACTERS, PictureSource, image_message
from retinue.client.segmentation_request import SegmentKeywords, plan_segmentation
from retinue.client.slide_geometry import SlideGeometry, slide_geometry_message
from retinue.segmentation.v1 import segmentation_pb2

SlideTile = tuple[int, int, PictureSource]
"""Left edge, top edge and pixels of a tile: upright ``uint8`` RGB or grey, or the bytes of an encoded file."""

LEAST_TIMEOUT_S = 120.0
"""How long to wait for a sign of life, seconds: a service may look at a whole row of tiles before it gives one."""

_MESSAGE_ROOM_BYTES = 4096


@dataclass(frozen=True, slots=True)
class SlidePlan:
    """A checked slide that waits for its tiles, and the call that carries it."""

    start: segmentation_pb2.SegmentStreamRequest
    call: Call
    max_message_bytes: int

    def tile(self, tile: SlideTile) -> segmentation_pb2.SegmentStreamRequest:
        """Return the message of a tile; raises as `image_message` does."""
        x, y, pixels = tile
        image = image_message(pixels, max_bytes=max(1, self.max_message_bytes - _MESSAGE_ROOM_BYTES))
        return segmentation_pb2.SegmentStreamRequest(tile=segmentation_pb2.SlideTile(x=x, y=y, image=image))


def plan_slide(
    default_timeout_s: float,
    max_message_bytes: int,
    geometry: SlideGeometry,
    image_id: str,
    keywords: SegmentKeywords,
) -> SlidePlan:
    """Return the plan of a slide with these keywords.

    Raises:
        TypeError: there is a keyword that is not one of `SegmentKeywords`, or one of another type.
        ValueError: one is out of range, or the name is too long; the message names it.
    """
    if len(image_id) > MAX_ID_CHARACTERS:
        raise ValueError(f"image_id has {len(image_id)} characters, at most {MAX_ID_CHARACTERS} are allowed")
    plan = plan_segmentation(max(default_timeout_s, LEAST_TIMEOUT_S), max_message_bytes, keywords)
    start = segmentation_pb2.SlideStart(
        image_id=image_id, geometry=slide_geometry_message(geometry), model=plan.model, options=plan.options
    )
    return SlidePlan(segmentation_pb2.SegmentStreamRequest(start=start), plan.call, max_message_bytes)
