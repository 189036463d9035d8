"""`retinue models import`: a PyTorch checkpoint, or a YOLO's ONNX file, becomes a model package."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from retinue.cli.refusal import Refused
from retinue.cli.terminal import plain, stdout_console

_COMMON = ("name", "version", "labels", "licence", "source", "description", "overwrite")


def run(arguments: argparse.Namespace) -> int:
    """Import the checkpoint, print the folder of its package and return 0.

    Raises:
        Refused: PyTorch is not installed, an option is of no use for such a file, or no package can be made of it.
    """
    try:
        # PyTorch is an extra: whoever only asks and serves has no need of it.
        from retinue.zoo.errors import CheckpointInvalid, ExportDiffers, PackageRefused  # noqa: PLC0415

        importer, own = _importer_for(arguments)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("retinue"):
            raise
        raise Refused(f"import needs {error.name}: pip install 'retinue[zoo,cpu]'") from error
    except CheckpointInvalid as error:
        raise Refused(str(error), exit_code=1) from error
    options = {key: getattr(arguments, key) for key in _COMMON}
    for key in ("architecture", "preprocessing", "image_size", "activation", "short_side", "long_side", "factor"):
        value = getattr(arguments, key)
        if value is None:
            continue
        if key not in own:
            raise Refused(f"--{key.replace('_', '-')} is of no use for {arguments.checkpoint.name}")
        options[key] = value
    try:
        folder = importer(arguments.checkpoint, arguments.root, **options)
    except (CheckpointInvalid, ExportDiffers, PackageRefused) as error:
        raise Refused(str(error), exit_code=1) from error
    except ValueError as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"{error.filename}: {error.strerror}", exit_code=1) from error
    stdout_console().print(plain(str(folder)))
    return 0


def _importer_for(arguments: argparse.Namespace) -> tuple[Callable[..., Path], tuple[str, ...]]:
    """Return what imports such a file, and which options only it takes."""
    from retinue.zoo.checkpoint import read_checkpoint  # noqa: PLC0415
    from retinue.zoo.checkpoint_import import import_classifier  # noqa: PLC0415
    from retinue.zoo.detector_import import import_detector, is_detector  # noqa: PLC0415
    from retinue.zoo.segmenter_import import import_segmenter, is_segmenter  # noqa: PLC0415
    from retinue.zoo.yolo_import import import_yolo  # noqa: PLC0415

    checkpoint: Path = arguments.checkpoint
    if checkpoint.suffix == ".onnx":

        def of_square(path: Path, root: Path, *, image_size: int | None = None, **options: Any) -> Path:
            size = None if image_size is None else (image_size, image_size)
            return import_yolo(path, root, image_size=size, **options)

        return of_square, ("image_size",)
    is_said = arguments.architecture or arguments.preprocessing or arguments.activation
    if not is_said:
        state = read_checkpoint(checkpoint)
        if is_detector(state):
            return import_detector, ("short_side", "long_side")
        if is_segmenter(state):
            return import_segmenter, ("factor",)
    return import_classifier, ("architecture", "preprocessing", "image_size", "activation")
