"""Pictures in a tensor: the one input of every image service behind the Open Inference Protocol.

The ecosystem sends pictures in several forms, and all of them are taken: encoded files as elements of BYTES (Triton's
examples, KServe, MLServer), one encoded file as a row of UINT8 (DALI pipelines), and RGB pixels.
"""

from typing import Any

from numpy.typing import NDArray

from retinue.runtime.errors import InvalidInput
from retinue.runtime.picture import Picture, PictureLimits, open_picture, raw_picture
from retinue.serving.tensor_model import TensorForm, TensorSpec

IMAGE = TensorSpec(
    name="image",
    datatype="BYTES",
    shape=(-1, 1),
    also=(
        TensorForm("BYTES", (-1,)),
        TensorForm("UINT8", (-1,)),
        TensorForm("UINT8", (1, -1)),
        TensorForm("UINT8", (-1, -1, 3)),
        TensorForm("UINT8", (-1, -1, -1, 3)),
    ),
)


def pictures_of(
    tensor: NDArray[Any], limits: PictureLimits, *, max_items: int, field: str = IMAGE.name
) -> list[Picture]:
    """Return the pictures that a tensor holds, opened but not decoded.

    Args:
        tensor: of a form of `IMAGE`: BYTES (object) [N] or [N, 1], encoded files; UINT8 [n] or [1, n], one encoded
            file; UINT8 [H, W, 3] or [N, H, W, 3], upright RGB pixels.
        limits: the largest picture that is taken.
        max_items: how many pictures are taken, at least 1.
        field: name of the input, for messages.

    Returns:
        1 to ``max_items`` pictures.

    Raises:
        InvalidInput: there is no picture or too many.
        InvalidImage: the bytes of one are no picture.
        ImageTooLarge: one is above the limits.
    """
    if tensor.dtype == object:
        files = tensor.ravel()
        _check_count(len(files), max_items, field)
        return [open_picture(data, limits, field=f"{field}[{index}]") for index, data in enumerate(files)]
    if tensor.ndim <= 2:
        return [open_picture(tensor.tobytes(), limits, field=field)]
    if tensor.ndim == 3:
        tensor = tensor[None]
    count, height, width, _ = tensor.shape
    _check_count(count, max_items, field)
    return [
        raw_picture(pixels.tobytes(), height, width, "rgb", limits, field=f"{field}[{index}]")
        for index, pixels in enumerate(tensor)
    ]


def _check_count(count: int, max_items: int, field: str) -> None:
    if not 1 <= count <= max_items:
        raise InvalidInput(field, f"holds {count} pictures; 1 to {max_items} are allowed", limit=str(max_items))
