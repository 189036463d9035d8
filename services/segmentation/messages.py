"""Codes and things as messages: masks as run lengths, PNGs or polygons, in the frame that is asked for."""

from collections.abc import Sequence

import numpy as np

from retinue.common.v1 import geometry_pb2, model_pb2
from retinue.ops import MaskCrop, Rle, polygons_from_rle, rle_encode_crop, rle_to_string
from retinue.runtime.view import Size
from retinue.segmentation.v1 import segmentation_pb2 as pb
from services.segmentation.codes import class_counts, class_masks, class_png, png_of
from services.segmentation.options import ClassForm, MaskForm
from services.segmentation.segmentations import Codes, Thing
from services.segmentation.things import whole_mask


def class_regions(codes: Codes, labels: Sequence[str], form: ClassForm) -> list[pb.ClassRegion]:
    """Return one region for each class, by class id."""
    counts = class_counts(codes, len(labels)).tolist()
    masks = class_masks(codes, len(labels)) if form == "rle" else [None] * len(labels)
    return [
        pb.ClassRegion(
            label=model_pb2.Label(id=class_id, name=labels[class_id]),
            pixel_count=counts[class_id],
            mask=None if mask is None else coco_rle(mask),
        )
        for class_id, mask in enumerate(masks)
    ]


def class_map_png(codes: Codes, form: ClassForm) -> bytes:
    """Return the class map as a PNG, if that is the form."""
    return class_png(codes) if form == "png" else b""


def instance_of(thing: Thing, labels: Sequence[str], form: MaskForm, size: Size) -> pb.Instance:
    """Return a thing in the frame of a picture of that size."""
    return pb.Instance(
        box=_box(thing),
        centroid=_centroid(thing),
        area_px=thing.area,
        label=model_pb2.Label(id=thing.label_id, name=labels[thing.label_id]),
        score=thing.score,
        mask=_mask(thing.crop, form, size),
    )


def slide_instance_of(number: int, thing: Thing, labels: Sequence[str], form: MaskForm) -> pb.SlideInstance:
    """Return a thing of a slide, its mask in the frame of its own box."""
    mask = thing.crop.mask
    return pb.SlideInstance(
        id=number,
        box=_box(thing),
        centroid=_centroid(thing),
        area_px=thing.area,
        label=model_pb2.Label(id=thing.label_id, name=labels[thing.label_id]),
        score=thing.score,
        box_mask=_mask(whole_mask(thing.crop), form, (mask.shape[0], mask.shape[1])),
    )


def coco_rle(mask: Rle) -> geometry_pb2.CocoRle:
    """Return a mask as COCO's compressed run lengths."""
    return geometry_pb2.CocoRle(height=mask.height, width=mask.width, counts=rle_to_string(mask))


def _box(thing: Thing) -> geometry_pb2.BoundingBox:
    y, x, mask = thing.crop
    return geometry_pb2.BoundingBox(x_min=x, y_min=y, x_max=x + mask.shape[1], y_max=y + mask.shape[0])


def _centroid(thing: Thing) -> geometry_pb2.Point:
    return geometry_pb2.Point(x=thing.centroid_xy[0], y=thing.centroid_xy[1])


def _mask(crop: MaskCrop, form: MaskForm, size: Size) -> geometry_pb2.Mask | None:
    """Return a mask in the frame of a picture of that size, in the form asked for."""
    if form == "none":
        return None
    if form == "png":
        pixels = np.zeros(size, np.uint8)
        pixels[crop.y : crop.y + crop.mask.shape[0], crop.x : crop.x + crop.mask.shape[1]] = crop.mask * np.uint8(255)
        return geometry_pb2.Mask(png=png_of(pixels))
    mask = rle_encode_crop(crop.mask, crop.y, crop.x, *size)
    if form == "rle":
        return geometry_pb2.Mask(rle=coco_rle(mask))
    # One polygon walks around its holes too, so that what is drawn is what was found.
    rings = [
        geometry_pb2.Polygon(vertices_xy=ring.ravel().tolist()) for ring in polygons_from_rle(mask, holes="bridge")
    ]
    return geometry_pb2.Mask(polygons=geometry_pb2.Polygons(polygons=rings))
