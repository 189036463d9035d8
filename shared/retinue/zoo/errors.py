"""The conditions that the zoo reports: what is wrong with a checkpoint, an export or a package."""

from collections.abc import Collection


class CheckpointInvalid(ValueError):
    """A checkpoint cannot be read, is of no known architecture, or does not fit it; the message names what."""


class CheckpointMismatch(CheckpointInvalid):
    """A checkpoint's tensors are not those of the architecture that it was recognised or declared as.

    Args:
        architecture: what was expected.
        missing: names that the architecture has and the checkpoint lacks.
        unexpected: names that only the checkpoint has.
        wrong: ``name: has (…), needs (…)`` for each tensor of another shape.
    """

    def __init__(
        self,
        architecture: str,
        *,
        missing: Collection[str] = (),
        unexpected: Collection[str] = (),
        wrong: Collection[str] = (),
    ) -> None:
        parts = (("missing", missing), ("unexpected", unexpected), ("wrong", wrong))
        problems = "; ".join(f"{what}: {_listed(names)}" for what, names in parts if names)
        super().__init__(f"the checkpoint does not fit {architecture}: {problems}")
        self.architecture = architecture
        self.missing = tuple(missing)
        self.unexpected = tuple(unexpected)
        self.wrong = tuple(wrong)


class ExportDiffers(ValueError):
    """The exported graph does not answer as the network that it was made from, or answers no finite numbers."""


class PackageRefused(ValueError):
    """A model package would not be valid; the message names each field of the manifest that is wrong."""


class PackageExists(PackageRefused):
    """The repository holds that model and version already."""


def _listed(names: Collection[str], shown: int = 8) -> str:
    """Return the first names in order, and how many more there are."""
    rest = len(names) - shown
    return ", ".join(list(names)[:shown]) + (f" and {rest} more" if rest > 0 else "")
