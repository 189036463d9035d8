"""What serving must know of a two-stage detector besides its two graphs: sizes, anchors, thresholds."""

from dataclasses import dataclass
from typing import Literal

Ratios = tuple[float, ...]
Sizes = tuple[float, ...]
Weights = tuple[float, float, float, float]
THREE_RATIOS: Ratios = (0.5, 1.0, 2.0)
FIVE_SIZES: Sizes = (32.0, 64.0, 128.0, 256.0, 512.0)


@dataclass(frozen=True, slots=True)
class FasterRcnnPolicy:
    """The defaults are those of the published ResNet-50 detectors.

    Source:
        Ren et al., NeurIPS 2015, arXiv:1506.01497; Lin et al., CVPR 2017, arXiv:1612.03144, section 4.
    """

    short_side: int = 800
    """The shorter side is scaled to this, pixels …"""
    long_side: int = 1333
    """… but the longer side to no more than this."""
    size_divisor: int = 32
    """Pictures are padded at right and bottom to a multiple of this, pixels."""
    pixels: Literal["float32", "uint8"] = "float32"
    """Type of the graph's pictures, in [0, 255]. float32: scaled without rounding, as in training."""
    anchor_sizes: tuple[Sizes, ...] = tuple((size,) for size in FIVE_SIZES)
    """Square root of the anchors' area for each level, the finest first, pixels of the scaled picture."""
    aspect_ratios: Ratios = THREE_RATIOS
    """Height by width of the anchors; each size comes in each."""
    strides: tuple[int, ...] = (4, 8, 16, 32, 64)
    """Pixels between the cells of each level."""
    proposals_per_level: int = 1000
    """At most so many anchors of each level leave the first graph."""
    proposal_min_side_px: float = 1e-3
    proposal_score_threshold: float = 0.0
    """Anchors with an objectness below this are dropped."""
    proposal_nms_iou: float = 0.7
    """Within a level."""
    proposals: int = 1000
    """At most so many boxes of a picture go into the second graph."""
    proposal_weights: Weights = (1.0, 1.0, 1.0, 1.0)
    """What the first graph's deltas dx, dy, dw, dh are divided by."""
    box_weights: Weights = (10.0, 10.0, 5.0, 5.0)
    """What the second graph's deltas dx, dy, dw, dh are divided by."""
    score_threshold: float = 0.05
    """Boxes must score above this."""
    min_side_px: float = 1e-2
    nms_iou: float = 0.5
    """Within a class."""
    detections: int = 100
    """At most so many boxes of a picture are answered."""

    @property
    def anchors_per_cell(self) -> int:
        """How many anchors each cell of every level has."""
        return len(self.anchor_sizes[0]) * len(self.aspect_ratios)

    def scaled_size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of a picture after scaling, rounded down as in training, at least 1 each.

        >>> FasterRcnnPolicy().scaled_size(320, 427)
        (800, 1067)
        """
        scale = min(self.short_side / min(height, width), self.long_side / max(height, width))
        return max(1, int(height * scale)), max(1, int(width * scale))

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the next multiples of ``size_divisor``.

        >>> FasterRcnnPolicy().padded_size(800, 1067)
        (800, 1088)
        """
        divisor = self.size_divisor
        return -(-height // divisor) * divisor, -(-width // divisor) * divisor


MOBILENET = FasterRcnnPolicy(anchor_sizes=(FIVE_SIZES,) * 3, strides=(32, 32, 64), proposal_score_threshold=0.05)
"""The published MobileNetV3-large detector at full resolution."""

MOBILENET_320 = FasterRcnnPolicy(
    short_side=320,
    long_side=640,
    anchor_sizes=MOBILENET.anchor_sizes,
    strides=MOBILENET.strides,
    proposals_per_level=150,
    proposals=150,
    proposal_score_threshold=0.05,
)
"""The published MobileNetV3-large detector at low resolution."""
