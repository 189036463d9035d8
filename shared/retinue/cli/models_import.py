"""`retinue models import`: a PyTorch checkpoint becomes a model package."""

import argparse

from retinue.cli.refusal import Refused
from retinue.cli.terminal import plain, stdout_console


def run(arguments: argparse.Namespace) -> int:
    """Import the checkpoint, print the folder of its package and return 0.

    Raises:
        Refused: PyTorch is not installed, or no package can be made of the checkpoint.
    """
    try:
        # PyTorch is an extra: whoever only asks and serves has no need of it.
        from retinue.zoo.checkpoint_import import import_classifier  # noqa: PLC0415
        from retinue.zoo.errors import CheckpointInvalid, ExportDiffers, PackageRefused  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("retinue"):
            raise
        raise Refused(f"import needs {error.name}: pip install 'retinue[zoo,cpu]'") from error
    try:
        folder = import_classifier(
            arguments.checkpoint,
            arguments.root,
            name=arguments.name,
            version=arguments.version,
            labels=arguments.labels,
            architecture=arguments.architecture,
            preprocessing=arguments.preprocessing,
            image_size=arguments.image_size,
            activation=arguments.activation,
            licence=arguments.licence,
            source=arguments.source,
            description=arguments.description,
            overwrite=arguments.overwrite,
        )
    except (CheckpointInvalid, ExportDiffers, PackageRefused) as error:
        raise Refused(str(error), exit_code=1) from error
    except ValueError as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"{error.filename}: {error.strerror}", exit_code=1) from error
    stdout_console().print(plain(str(folder)))
    return 0
