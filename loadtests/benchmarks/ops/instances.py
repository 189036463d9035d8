"""Components, floods and instances, beside scikit-image, scipy, OpenCV and connected-components-3d."""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure, segmentation

from loadtests.benchmarks.ops.case import Case, MemoryCase
from retinue.ops import (
    connected_components,
    instance_contours,
    instance_properties,
    instance_sums,
    instances_to_label_map,
    label_map_to_instances,
    merge_across_seams,
    relabel_sequential,
    split_instances,
)
from retinue.ops.flooding import watershed
from retinue.ops.instances import fill_holes

SIDE = 2048
skimage_watershed: Callable[..., NDArray[Any]] = segmentation.watershed  # scikit-image has no types
skimage_relabel: Callable[..., Any] = segmentation.relabel_sequential
skimage_label: Callable[..., NDArray[Any]] = measure.label
skimage_table: Callable[..., Any] = measure.regionprops_table


class Place(NamedTuple):
    """Where a tile lies."""

    y: int
    x: int


def cases() -> Iterator[Case | MemoryCase]:
    """Yield what is measured: a picture of 2048 x 2048 with some 1200 overlapping ellipses, and a small one."""
    interior, boundary = nuclei(SIDE, 1250)
    mask = interior >= 0.5
    bytes_of_mask = mask.view(np.uint8)
    yield from component_cases(mask, f"{SIDE}²")
    yield from component_cases(mask[:64, :64].copy(), "64²")
    distance: NDArray[np.float32] = np.asarray(cv2.distanceTransform(bytes_of_mask, cv2.DIST_L2, 5), np.float32)
    markers = connected_components(distance > 5, connectivity=4)[0]
    elevation = -distance + np.random.default_rng(1).random(mask.shape, np.float32) * 1e-3
    colours = cv2.cvtColor(((elevation - elevation.min()) * 9).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    yield Case(
        f"watershed in a mask {SIDE}²",
        lambda: watershed(elevation, markers, mask=mask),
        {"skimage": lambda: skimage_watershed(elevation, markers, mask=mask)},
        target=5,
        note="labels are equal",
    )
    yield Case(
        f"watershed everywhere {SIDE}²",
        lambda: watershed(elevation, markers),
        {
            "skimage": lambda: skimage_watershed(elevation, markers),
            "cv2": lambda: cv2.watershed(colours, markers.copy()),
        },
        note="cv2: 8-bit colours, draws lines",
    )
    labels = connected_components(mask, connectivity=4)[0]
    ids = np.arange(1, labels.max() + 1)
    yield Case(
        f"instance_properties {SIDE}²",
        lambda: instance_properties(labels),
        {
            "skimage": lambda: skimage_table(labels, properties=("label", "area", "centroid", "bbox")),
            "scipy": lambda: (
                ndimage.find_objects(labels),
                np.bincount(labels.ravel()),
                ndimage.center_of_mass(mask, labels, ids),
            ),
            "cv2": lambda: cv2.connectedComponentsWithStats(bytes_of_mask, connectivity=4),
        },
        target=5,
        rival="skimage",
        note="cv2 labels first",
    )
    layers = np.stack([elevation] * 4).astype(np.float32)
    yield Case(
        f"instance_sums 4 layers {SIDE}²",
        lambda: instance_sums(labels, layers),
        {"scipy": lambda: [ndimage.sum_labels(layer, labels, ids) for layer in layers]},
        target=5,
    )
    yield Case(
        f"fill_holes {SIDE}²", lambda: fill_holes(mask), {"scipy": lambda: ndimage.binary_fill_holes(mask)}, target=5
    )
    yield Case(
        f"relabel_sequential {SIDE}²",
        lambda: relabel_sequential(labels * 3),
        {"skimage": lambda: skimage_relabel(labels * 3)},
    )
    yield Case(
        f"split_instances boundary {SIDE}²",
        lambda: split_instances(interior, boundary, method="boundary"),
        {"skimage": lambda: split_by_skimage(interior, boundary)},
        target=5,
        note="the same steps, up to holes of instances",
    )
    yield Case(f"split_instances distance {SIDE}²", lambda: split_instances(interior, method="distance"))
    yield Case(f"instance_contours {SIDE}²", lambda: instance_contours(labels))
    yield Case(
        f"label_map_to_instances and back {SIDE}²",
        lambda: instances_to_label_map((crop for _, crop in label_map_to_instances(labels)), SIDE, SIDE),
    )
    tiles = [
        (Place(y, x), connected_components(mask[y : y + 512, x : x + 512], connectivity=4)[0])
        for y in range(0, SIDE - 64, 448)
        for x in range(0, SIDE - 64, 448)
    ]
    yield Case("merge_across_seams 25 tiles of 512²", lambda: list(merge_across_seams(tiles)))
    yield MemoryCase(
        "merge_across_seams 200 rows of 4 tiles of 512²",
        setup=(
            "import numpy as np\n"
            "from collections import namedtuple\n"
            "from retinue.ops import connected_components, merge_across_seams\n"
            "Place = namedtuple('Place', 'y x')\n"
            "y, x = np.indices((512, 512))\n"
            "tile = connected_components((y % 32 < 20) & (x % 32 < 20), connectivity=4)[0]\n"
            "def tiles(rows):\n"
            "    return ((Place(448 * y, 448 * x), tile) for y in range(rows) for x in range(4))\n"
            "for _ in merge_across_seams(tiles(3)): pass"
        ),
        action="for _ in merge_across_seams(tiles(200)): pass",
        limit_mib=32,
    )


def component_cases(mask: NDArray[np.bool_], size: str) -> Iterator[Case]:
    """Yield the comparisons of components: OpenCV numbers otherwise at 8, the rest alike."""
    pixels = mask.view(np.uint8)
    peers_4: dict[str, Callable[[], object]] = {
        "cv2": lambda: cv2.connectedComponents(pixels, connectivity=4, ltype=cv2.CV_32S),
        "scipy": lambda: ndimage.label(mask),
        "skimage": lambda: skimage_label(mask, connectivity=1),
    }
    peers_8: dict[str, Callable[[], object]] = {
        "cv2": lambda: cv2.connectedComponents(pixels, connectivity=8, ltype=cv2.CV_32S),
        "scipy": lambda: ndimage.label(mask, np.ones((3, 3))),
        "skimage": lambda: skimage_label(mask, connectivity=2),
    }
    if importlib.util.find_spec("cc3d"):
        cc3d = importlib.import_module("cc3d")
        peers_4["cc3d"] = lambda: cc3d.connected_components(mask, connectivity=4)
        peers_8["cc3d"] = lambda: cc3d.connected_components(mask, connectivity=8)
    target = 1 if size != "64²" else None
    yield Case(
        f"connected_components 4 {size}", lambda: connected_components(mask, connectivity=4), peers_4, target=target
    )
    yield Case(
        f"connected_components 8 {size}", lambda: connected_components(mask, connectivity=8), peers_8, target=target
    )


def nuclei(side: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the interior and boundary probabilities of ellipses that partly overlap."""
    rng = np.random.default_rng(0)
    truth = np.zeros((side, side), dtype=np.int32)
    for label in range(1, count + 1):
        x, y = (int(place) for place in rng.integers(0, side, 2))
        wide, high = (int(axis) for axis in rng.integers(8, 18, 2))
        cv2.ellipse(truth, (x, y), (wide, high), float(rng.uniform(0, 180)), 0, 360, label, -1)
    inner = truth.astype(np.float32)
    is_boundary = cv2.dilate(inner, np.ones((3, 3), np.uint8)) != cv2.erode(inner, np.ones((3, 3), np.uint8))
    interior = cv2.GaussianBlur((truth > 0).astype(np.float32), (3, 3), 0)
    boundary = cv2.GaussianBlur(is_boundary.astype(np.float32), (5, 5), 0)
    noise = rng.random((2, side, side), np.float32) * 0.1
    return np.asarray(interior * 0.9 + noise[0], np.float32), np.asarray(boundary * 0.9 + noise[1], np.float32)


def split_by_skimage(interior: NDArray[np.float32], boundary: NDArray[np.float32]) -> NDArray[Any]:
    """Return what the usual script finds: label, watershed, drop what is small, renumber."""

    def large(mask: NDArray[Any]) -> NDArray[Any]:
        labels = skimage_label(mask, connectivity=1)
        areas = np.bincount(labels.ravel())
        return np.where(areas[labels] >= 10, labels, 0)

    foreground = large(interior >= 0.5) > 0
    markers = large(ndimage.binary_fill_holes(foreground & (boundary < 0.5)))
    labels = skimage_watershed(boundary, markers, mask=foreground)
    areas = np.bincount(labels.ravel())
    return np.asarray(skimage_relabel(np.where(areas[labels] >= 10, labels, 0))[0])
