"""Lists that grow while they are written: what they hold, in arrays of twice the size."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.ops._kernel import kernel


@kernel()
def grown(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array of twice the length that begins with this one, which is not empty."""
    twice = np.empty(2 * len(array), array.dtype)
    twice[: len(array)] = array
    return twice
