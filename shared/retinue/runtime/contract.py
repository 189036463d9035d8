"""Whether a graph has the inputs and outputs that its manifest speaks of."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from retinue.runtime.backend import TensorInfo
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.manifest import Manifest

FREE: Final = -1
"""In a wanted shape: a side that must be free to vary, such as the batch."""


def check_tensor(
    manifest: Manifest,
    kind: Literal["input", "output"],
    tensors: Mapping[str, TensorInfo],
    name: str,
    dtype: str,
    shape: Sequence[int | None],
) -> TensorInfo:
    """Return what a graph says of one of its inputs or outputs, if it is what the manifest needs.

    Args:
        manifest: of the package.
        kind: for the message.
        tensors: the graph's inputs or outputs.
        name: of the one that is looked for.
        dtype: as ONNX Runtime calls it, such as ``float`` or ``uint8``.
        shape: its sides; None may be anything, `FREE` must vary, a number must be that or vary.

    Raises:
        PackageInvalid: there is none, or it has another type or shape.
    """
    info = tensors.get(name)
    if info is None:
        raise PackageInvalid(f"{manifest.name}@{manifest.version}: the graph has no {kind} {name}")
    sides_agree = len(info.shape) == len(shape) and all(
        wanted is None or there is None or there == wanted for there, wanted in zip(info.shape, shape, strict=True)
    )
    if info.dtype != f"tensor({dtype})" or not sides_agree:
        needed = ", ".join("batch" if side == FREE else "any" if side is None else str(side) for side in shape)
        raise PackageInvalid(
            f"{manifest.name}@{manifest.version}: {kind} {name} is {info.dtype}{list(info.shape)}, "
            f"the manifest needs tensor({dtype})[{needed}]"
        )
    return info
