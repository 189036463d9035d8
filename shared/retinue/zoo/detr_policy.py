"""What serving must know of a DETR besides its graph: how pictures are scaled, and what counts as found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DetrPolicy:
    """The defaults are those of the published detectors, whose pictures Pillow scales: bilinear, antialiased, bytes.

    Source:
        Carion et al., ECCV 2020, arXiv:2005.12872, section 4.
    """

    short_side: int = 800
    """The shorter side is scaled to this, pixels …"""
    long_side: int = 1333
    """… but the longer side to no more than this."""
    size_divisor: int = 1
    """Pictures are padded at right and bottom to a multiple of this, pixels. 1: not at all, as one alone was in the
    original; padding moves answers by a percent or so, since convolutions see it."""
    score_threshold: float = 0.0
    """Of the softmax over all classes but the last, no object."""
    detections: int = 100
    """At most so many boxes of a picture are answered; there is no suppression."""

    def scaled_size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of a picture after scaling, rounded as in training, at least 1 each.

        >>> DetrPolicy().scaled_size(480, 640), DetrPolicy().scaled_size(427, 1000)
        ((800, 1066), (569, 1332))
        """
        shorter, longer = min(height, width), max(height, width)
        side = self.short_side
        if longer / shorter * side > self.long_side:
            side = round(self.long_side * shorter / longer)
        if side == 0:  # a line of pixels, on which the original fails
            return (self.long_side, 1) if width < height else (1, self.long_side)
        if shorter == side:
            return height, width
        other = int(side * longer / shorter)
        return (other, side) if width < height else (side, other)
