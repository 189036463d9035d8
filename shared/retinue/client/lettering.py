"""Text on pictures, by OpenCV alone: ASCII, one line, shortened where it has no room."""

import unicodedata
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]

_SCALE = 0.5  # OpenCV's font scale for lines of about 24 pixels
_CAPITAL_HEIGHT = 21  # pixels at font scale 1; measured, since getTextSize tells the line's height


@dataclass(frozen=True, slots=True)
class Lettering:
    """A size and weight of text.

    Args:
        size: 1 for lines of about 24 pixels, 2 for twice that.
        is_bold: whether it is heavy.
    """

    size: float
    is_bold: bool = False

    def write_line(self, strip: NDArray[np.uint8], left: str, right: str = "", *, colour: Colour, margin: int) -> None:
        """Write one text at the left and one at the right of a strip, centred in its height.

        Args:
            strip: uint8 [height, width, 3], written to.
            left: shortened where it would meet ``right``.
            right: always whole.
            colour: in the channel order of the strip.
            margin: free pixels at either end and between the two.
        """
        right = printable(right)
        start = strip.shape[1] - margin - self.width(right)
        room = start - margin - (margin if right else 0)
        self._write(strip, margin, self.shortened(left, room), colour)
        self._write(strip, start, right, colour)

    def width(self, text: str) -> int:
        """Return how wide a printable text is, pixels."""
        if not text:
            return 0  # OpenCV 4 gives nothing the width of its pen
        return cv2.getTextSize(text, self._font, _SCALE * self.size, self._thickness)[0][0]

    def shortened(self, text: str, room: int) -> str:
        """Return the printable text, cut and ended by dots where it is wider than ``room`` pixels."""
        text = printable(text)
        if self.width(text) <= room:
            return text
        kept = len(text)
        while kept and self.width(text[:kept].rstrip() + "...") > room:
            kept = kept // 2 if self.width(text[: kept // 2]) > room else kept - 1
        return text[:kept].rstrip() + "..."

    @property
    def _font(self) -> int:
        return cv2.FONT_HERSHEY_DUPLEX if self.is_bold else cv2.FONT_HERSHEY_SIMPLEX

    @property
    def _thickness(self) -> int:
        return max(1, round(self.size))

    def _write(self, strip: NDArray[np.uint8], start: int, text: str, colour: Colour) -> None:
        baseline = round((strip.shape[0] + _CAPITAL_HEIGHT * _SCALE * self.size) / 2)
        cv2.putText(
            strip, text, (start, baseline), self._font, _SCALE * self.size, colour, self._thickness, cv2.LINE_AA
        )


def printable(text: str) -> str:
    """Return the text without accents, and a question mark for each character that OpenCV's fonts do not have.

    >>> printable("Gänseblümchen 菊")
    'Ganseblumchen ?'
    """
    plain = (character for character in unicodedata.normalize("NFKD", text) if not unicodedata.combining(character))
    return "".join(character if " " <= character <= "~" else "?" for character in plain)
