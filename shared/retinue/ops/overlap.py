"""How far boxes overlap."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import Float, native
from retinue.ops._overlap_kernels import CIOU, DIOU, GIOU, IOS, IOU, comparable_boxes, overlaps

OverlapKind = Literal["iou", "giou", "diou", "ciou", "ios"]

_KINDS = {"iou": IOU, "giou": GIOU, "diou": DIOU, "ciou": CIOU, "ios": IOS}
_NO_CROWD = np.zeros(0, np.bool_)


def pairwise_iou(
    a: NDArray[Float], b: NDArray[Float], *, kind: OverlapKind = "iou", is_crowd: ArrayLike | None = None
) -> NDArray[Float]:
    """Return how far every box in one set overlaps every box in the other.

    Args:
        a: (A, 4) corners ``x1, y1, x2, y2``, float32 or float64; other real dtypes count as float64.
        b: (B, 4), the same format and the same frame; where the dtypes differ both count as float64.
        kind: ``"iou"``, intersection over union; ``"giou"``, less the share of the box around both that neither covers;
            ``"diou"``, less the squared distance of the centres in squared diagonals of that box; ``"ciou"``, that
            less a term for unlike aspects; ``"ios"``, intersection over the smaller area.
        is_crowd: (B,) bool, only with ``"iou"``: against a crowd the union is the area of the box in `a`, so that a
            detection inside of it overlaps it fully.

    Returns:
        (A, B) in the dtype of the boxes: in [0, 1] for ``"iou"`` and ``"ios"``, in [-1, 1] for ``"giou"`` and
        ``"diou"``, in [-2, 1] for ``"ciou"``.

    Raises:
        ValueError: `a` or `b` is not (n, 4) or not finite, `kind` is another, `is_crowd` is not (B,) or no booleans,
            or it comes with a kind that knows no crowds.

    Notes:
        Empty sets give an empty matrix. Where a union, an area or a box around both is empty, the quotient over it is
        0, never NaN. A reversed side (``x2 < x1``) counts as none: such a box covers nothing. Where areas would
        exceed the range of float32, they are taken in float64.

    Source:
        torchvision's arithmetic, in its order and in the dtype of the boxes, with 1e-7 added to squared diagonals and
        to the denominator of the aspect term; crowds as in the COCO evaluation. GIoU: Rezatofighi et al., CVPR 2019,
        arXiv:1902.09630. DIoU and CIoU: Zheng et al., AAAI 2020, arXiv:1911.08287. Empty quotients are ours.

    >>> unit, far = [[0.0, 0.0, 2.0, 2.0]], [[4.0, 0.0, 6.0, 2.0]]
    >>> pairwise_iou(np.array(unit), np.array(unit + far))
    array([[1., 0.]])
    >>> pairwise_iou(np.array(unit), np.array(unit + far), kind="giou").round(3)
    array([[ 1.   , -0.333]])
    """
    code = _KINDS.get(kind)
    if code is None:
        raise ValueError(f"kind: must be one of {', '.join(_KINDS)}, got {kind!r}")
    first, second, dtype = comparable_boxes(a, b)
    crowd = _NO_CROWD
    if is_crowd is not None:
        crowd = np.asarray(is_crowd)
        if crowd.shape != (len(second),) or (crowd.dtype != np.bool_ and crowd.size):
            raise ValueError(f"is_crowd: must be ({len(second)},) booleans, got {crowd.shape} of dtype {crowd.dtype}")
        if code != IOU:
            raise ValueError(f"is_crowd: goes with the kind iou only, got {kind!r}")
        crowd = native(crowd.astype(np.bool_, copy=False))
    result = np.empty((len(first), len(second)), first.dtype)
    overlaps(first, second, crowd, code, result)
    return result.astype(dtype, copy=False)
