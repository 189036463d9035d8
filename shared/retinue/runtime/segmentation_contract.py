"""Whether a segmentation graph has the inputs and outputs that its manifest speaks of."""

from retinue.runtime.backend import Backend
from retinue.runtime.contract import FREE, check_tensor
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.segmentation_manifest import InstanceManifest, ScaleInput, SegmentationManifest


def check_segmentation(manifest: SegmentationManifest, graph: Backend) -> list[str]:
    """Return the names of the outputs that serving asks for, logits first, after comparing the graph with the manifest.

    Raises:
        PackageInvalid: an input or output is missing, or has another type or shape, or there are more inputs.
    """
    policy, output = manifest.input, manifest.output
    inside: tuple[int, int] = (FREE, FREE) if isinstance(policy, ScaleInput) else (policy.height, policy.width)
    outside = (None, None) if isinstance(policy, ScaleInput) else inside
    check_tensor(manifest, "input", graph.inputs, policy.tensor, "uint8", (FREE, *inside, 3))
    check_tensor(manifest, "output", graph.outputs, output.logits, "float", (None, len(manifest.labels), *outside))
    names = [output.logits]
    if isinstance(manifest, InstanceManifest) and manifest.output.splitting.guide is not None:
        names.append(manifest.output.splitting.guide)
        check_tensor(manifest, "output", graph.outputs, names[-1], "float", (None, 1, *outside))
    if len(graph.inputs) > 1:
        more = ", ".join(sorted(graph.inputs.keys() - {policy.tensor}))
        raise PackageInvalid(f"{manifest.name}@{manifest.version}: the graph also wants {more}")
    return names
