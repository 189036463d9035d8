"""From a checkpoint file to a model package that can be served: read, recognised, exported, checked, written."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from retinue.runtime.package import sha256_of
from retinue.zoo.architectures import ARCHITECTURES, PREPROCESSING
from retinue.zoo.checkpoint import read_checkpoint
from retinue.zoo.errors import CheckpointInvalid
from retinue.zoo.export import export_classifier
from retinue.zoo.labels import labels_for
from retinue.zoo.package import refuse_existing, write_package
from retinue.zoo.recognition import Recognised, recognise

# Weights do not tell how pictures were prepared; where one kind was published with two ways, the name's digest does.
_BY_DIGEST = {
    "7ebf99e0": "torchvision_v2",  # mobilenet_v2, second weights
    "5c1a4163": "torchvision_v2",  # mobilenet_v3_large, second weights
}


def import_classifier(  # noqa: PLR0913 - what a package says, one keyword each
    checkpoint: Path,
    root: Path,
    *,
    name: str,
    version: str = "1",
    labels: Sequence[str] | Path | None = None,
    architecture: str | None = None,
    preprocessing: str | None = None,
    heads: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    activation: str = "softmax",
    licence: str = "unknown",
    source: str | None = None,
    description: str = "",
    has_embedding: bool = True,
    verify_name: bool = True,
    overwrite: bool = False,
) -> Path:
    """Return the folder of the package that was made of a classification checkpoint.

    Args:
        checkpoint: a `.pth`, `.pt` or `.safetensors` file of a MobileNetV1, V2, V3 or vision transformer, under the
            names of torchvision, timm or DeiT.
        root: the model repository that the package goes into.
        name: of the model.
        version: of the model.
        labels: names by class id, or a file of them (see `labels_for`); None numbers them.
        architecture: a key of `ARCHITECTURES` that the checkpoint must turn out to be; None takes what it is.
        preprocessing: a key of `PREPROCESSING`; None goes by the checkpoint's names, size and file name.
        heads: attention heads of a vision transformer of unusual hidden size.
        image_size: side, or height and width, of the input, pixels; None takes what the weights were trained for. A
            vision transformer's positions are interpolated.
        activation: how logits become scores, ``softmax`` or ``sigmoid``.
        licence: of the weights, an SPDX identifier or a name.
        source: who made the weights, from what; None takes the file's name.
        description: one sentence for people.
        has_embedding: whether the graph gives the embedding too.
        verify_name: whether a digest in the file's name is checked.
        overwrite: whether a package of that name and version is replaced.

    Raises:
        CheckpointInvalid: the file cannot be read, is of no known architecture, or does not fit it.
        ExportDiffers: the graph does not answer as the network.
        PackageExists: the version is there and ``overwrite`` is false.
        PackageRefused: labels or another field of the manifest are not valid.
        ValueError: there is no such architecture or preprocessing.
    """
    if architecture is not None and architecture not in ARCHITECTURES:
        raise ValueError(f"no architecture {architecture!r}; there are {', '.join(ARCHITECTURES)}")
    if preprocessing is not None and preprocessing not in PREPROCESSING:
        raise ValueError(f"no preprocessing {preprocessing!r}; there are {', '.join(PREPROCESSING)}")
    refuse_existing(root, name, version, overwrite=overwrite)
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    if size is not None and min(size) < 1:
        raise ValueError(f"image size must be at least 1x1, not {size[0]}x{size[1]}")
    found = recognise(read_checkpoint(checkpoint, verify_name=verify_name), heads=heads, image_size=size)
    if architecture not in (None, found.architecture, found.architecture.replace("vit_", "deit_")):
        raise CheckpointInvalid(f"{checkpoint.name} is {found.architecture}, not {architecture}")
    if found.layout == "timm" and checkpoint.name.startswith("tf_"):
        raise CheckpointInvalid(f"{checkpoint.name} was trained with TensorFlow's padding, which the zoo does not have")
    way = PREPROCESSING[preprocessing or preprocessing_of(found, checkpoint.name)]
    height, width = size or found.trained_size or (way.input_size, way.input_size)
    names = labels_for(found.model.class_count, labels)
    with tempfile.TemporaryDirectory() as folder:
        graph = export_classifier(
            found.model,
            Path(folder, "model.onnx"),
            height=height,
            width=width,
            mean=way.mean,
            std=way.std,
            has_embedding=has_embedding,
        )
        output: dict[str, str | int] = {"activation": activation}
        if has_embedding:
            output |= {"embedding": "embedding", "embedding_size": found.model.embedding_size}
        fields = {
            "name": name,
            "version": version,
            "description": description,
            "task": "classification",
            "family": "logits",
            "labels": names,
            "input": way.policy(height, width),
            "output": output,
            "provenance": {
                "source": source or f"{found.architecture} from {checkpoint.name}",
                "checkpoint_sha256": sha256_of(checkpoint),
            },
            "licence": licence,
        }
        return write_package(root, fields, {path.name: path for path in graph.files}, overwrite=overwrite)


def preprocessing_of(found: Recognised, file_name: str) -> str:
    """Return the key of `PREPROCESSING` for a recognised checkpoint.

    By the library whose names it has, by the size it was trained for, and, where one kind of checkpoint has been
    published with different ones, by its file's name: ``swag`` and ``deit`` in it, or the digest at its end.

    Args:
        found: the recognised checkpoint.
        file_name: of the checkpoint, without folders.
    """
    digest = re.search(r"-([0-9a-f]{8})\.", file_name)
    if digest and digest[1] in _BY_DIGEST:
        return _BY_DIGEST[digest[1]]
    is_large = found.trained_size is not None and found.trained_size[0] > 224
    if found.trained_size is None:
        by_name = {"mobilenet_v1": "timm_mobilenet_v1"}
        return "torchvision" if found.layout == "torchvision" else by_name.get(found.architecture, "timm_mobilenet")
    if found.layout == "torchvision":
        if is_large or "swag" in file_name or found.architecture == "vit_h_14":
            return "swag_e2e" if is_large else "swag_linear"
        return "torchvision_vit_l_16" if found.architecture == "vit_l_16" else "torchvision"
    kind = "deit" if found.is_distilled or "deit" in file_name else "timm_vit"
    return f"{kind}_384" if is_large else kind
