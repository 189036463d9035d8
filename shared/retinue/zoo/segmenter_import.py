"""From a UNet's checkpoint to a model package that can be served: read, recognised, exported, checked, written."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from retinue.runtime.package import sha256_of
from retinue.zoo.checkpoint import read_checkpoint
from retinue.zoo.errors import CheckpointInvalid
from retinue.zoo.export_unet import export_unet
from retinue.zoo.labels import labels_for
from retinue.zoo.package import refuse_existing, write_package
from retinue.zoo.recognition_unet import is_unet, recognise_unet

# The original's published checkpoints say in their names what pictures were scaled by.
_SCALE = re.compile(r"scale(0?\.\d+|1(?:\.0)?)")


def is_segmenter(state: Mapping[str, Tensor]) -> bool:
    """Return whether a checkpoint's tensors have the names of a segmentation model that the zoo knows."""
    return is_unet(state)


def import_segmenter(  # noqa: PLR0913 - what a package says, one keyword each
    checkpoint: Path,
    root: Path,
    *,
    name: str,
    version: str = "1",
    labels: Sequence[str] | Path | None = None,
    factor: float | None = None,
    licence: str = "unknown",
    source: str | None = None,
    description: str = "",
    verify_name: bool = True,
    overwrite: bool = False,
) -> Path:
    """Return the folder of the package that was made of a UNet's checkpoint.

    Args:
        checkpoint: a `.pth`, `.pt` or `.safetensors` file under milesial's names, old or new.
        root: the model repository that the package goes into.
        name: of the model.
        version: of the model.
        labels: names by class id, or a file of them (see `labels_for`); None numbers them. Of a network of one class,
            of which a pixel is from a probability of 0.5 on, one name.
        factor: what the sides of pictures are multiplied by; None goes by the file's name, ``…_scale0.5_…``, or 1.
        licence: of the weights, an SPDX identifier or a name.
        source: who made the weights, from what; None takes the file's name.
        description: one sentence for people.
        verify_name: whether a digest in the file's name is checked.
        overwrite: whether a package of that name and version is replaced.

    Raises:
        CheckpointInvalid: the file cannot be read, is of no known network, or does not fit it.
        ExportDiffers: the graph does not answer as the network.
        PackageExists: the version is there and ``overwrite`` is false.
        PackageRefused: labels or another field of the manifest are not valid.

    Source:
        Pictures are scaled bicubically by Pillow, and maps scaled back before they are decided, as milesial's
        `predict.py` does.
    """
    refuse_existing(root, name, version, overwrite=overwrite)
    state = read_checkpoint(checkpoint, verify_name=verify_name)
    if not is_segmenter(state):
        raise CheckpointInvalid(
            f"{checkpoint.name} is of no segmentation model that the zoo knows (UNet); "
            f"its first tensors are {', '.join(list(state)[:3])}"
        )
    found = recognise_unet(state)
    if factor is None:
        told = _SCALE.search(checkpoint.name)
        factor = float(told[1]) if told else 1.0
    is_single = found.model.class_count == 1
    with tempfile.TemporaryDirectory() as folder:
        exported = export_unet(found.model, Path(folder, "model.onnx"))
        fields = {
            "name": name,
            "version": version,
            "description": description,
            "task": "segmentation",
            "family": "semantic",
            "labels": labels_for(exported.class_count, labels),
            "input": {
                "fit": "scale",
                "factor": factor,
                "kernel": "bicubic",
                "antialias": True,
                "stride_px": found.model.stride_px,
            },
            "output": {"activation": "sigmoid", "threshold": 0.5} if is_single else {"activation": "softmax"},
            "provenance": {
                "source": source or f"{found.architecture} from {checkpoint.name}",
                "checkpoint_sha256": sha256_of(checkpoint),
            },
            "licence": licence,
        }
        return write_package(root, fields, {path.name: path for path in exported.files}, overwrite=overwrite)
