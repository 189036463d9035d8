"""What classification means: a picture becomes a row, its logits become labels and a measure of how strange it is."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from retinue.ops import OpenMax, energy_score, max_softmax_score, sigmoid, softmax, top_k
from retinue.runtime.backend import Backend, LoadGraph
from retinue.runtime.classification_manifest import ClassificationManifest
from retinue.runtime.contract import FREE, check_tensor
from retinue.runtime.errors import PackageInvalid
from retinue.runtime.package import Package
from retinue.runtime.picture import Picture
from retinue.runtime.resize import fit_into

Activation = Literal["softmax", "sigmoid"]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ClassificationOptions:
    """What one caller wants to have back; None where the model's manifest decides."""

    top_k: int = 5
    score_threshold: float = 0.0
    activation: Activation | None = None
    is_logits_wanted: bool = False
    is_embedding_wanted: bool = False


@dataclass(frozen=True, slots=True)
class ClassificationItem:
    """One picture and what is wanted of it."""

    picture: Picture
    options: ClassificationOptions


class ClassificationOutputs(NamedTuple):
    """A model's raw outputs for a batch, float32: logits [batch, classes] and features [batch, embedding_size].

    Where a model has no features, ``embeddings`` is [batch, 0].
    """

    logits: Floats
    embeddings: Floats


@dataclass(frozen=True, slots=True)
class Classification:
    """The answer to one picture, and the manifest of the model that gave it.

    ``label_ids`` (int64 [n]) and ``scores`` (float32 [n], in [0, 1]) are best first, equal scores by lower id;
    ``all_scores`` (float32 [classes]) and ``logits`` are by class id.
    """

    manifest: ClassificationManifest
    label_ids: NDArray[np.int64]
    scores: Floats
    unknown_score: float | None
    is_unknown: bool | None
    all_scores: Floats
    logits: Floats | None
    embedding: Floats | None


class ClassificationPipeline:
    """One classifier of the family `logits`.

    Args:
        package: its manifest and files.
        load: loads a graph of the package.

    Raises:
        PackageInvalid: the graph is not what the manifest says.
    """

    def __init__(self, package: Package, load: LoadGraph) -> None:
        manifest = ClassificationManifest.of(package.manifest)
        backend = load("model.onnx")
        _check_contract(manifest, backend)
        self.manifest = manifest
        self.provider = backend.provider
        self._backend = backend
        self._output_names = [name for name in (manifest.output.logits, manifest.output.embedding) if name is not None]
        self._strangeness = _strangeness(package, manifest)

    def warm_up_buckets(self) -> Sequence[Hashable]:
        """Return the one bucket there is: every picture is brought to the model's input size."""
        return [None]

    def bucket(self, item: ClassificationItem) -> Hashable:  # noqa: ARG002 - the protocol's signature
        """Return the one bucket there is."""
        return None

    def allocate(self, bucket: Hashable, row_count: int) -> NDArray[np.uint8]:  # noqa: ARG002 - the protocol's
        """Return uint8 [row_count, height, width, 3]."""
        policy = self.manifest.input
        return np.zeros((row_count, policy.height, policy.width, 3), np.uint8)

    def row_pixels(self, bucket: Hashable) -> int:  # noqa: ARG002 - the protocol's signature
        """Return the pixels of the input."""
        return self.manifest.input.height * self.manifest.input.width

    def decode(self, item: ClassificationItem) -> NDArray[np.uint8]:
        """Return the upright picture, uint8 [height, width, 3] RGB."""
        return item.picture.pixels()

    def prepare(self, pixels: NDArray[np.uint8], rows: NDArray[np.uint8], index: int) -> None:
        """Bring the picture to the model's input size, as its manifest says."""
        fit_into(pixels, self.manifest.input, rows[index])

    def run(self, rows: NDArray[np.uint8], count: int) -> ClassificationOutputs:
        """Return logits, and features where the model has them, of the first rows."""
        logits, *features = self._backend.run({self.manifest.input.tensor: rows[:count]}, self._output_names)
        return ClassificationOutputs(logits, features[0] if features else np.empty((count, 0), np.float32))

    def finish(self, items: Sequence[ClassificationItem], outputs: ClassificationOutputs) -> list[Classification]:
        """Return what each caller asked for."""
        own = self.manifest.output.activation
        activations = [item.options.activation or own for item in items]
        if len(set(activations)) == 1:
            scores = scores_of(outputs.logits, activations[0])
        else:
            scores = np.stack([scores_of(*one) for one in zip(outputs.logits, activations, strict=True)])
        best = top_k(scores, max(item.options.top_k for item in items))
        best_scores = np.take_along_axis(scores, best, axis=-1)
        unknown_scores = None if self._strangeness is None else self._strangeness(outputs)
        return [
            self._answer(
                item.options,
                best[row],
                best_scores[row],
                None if unknown_scores is None else float(unknown_scores[row]),
                scores[row],
                outputs.logits[row],
                outputs.embeddings[row],
            )
            for row, item in enumerate(items)
        ]

    def _answer(
        self,
        options: ClassificationOptions,
        best: NDArray[np.int64],
        scores: Floats,
        unknown_score: float | None,
        all_scores: Floats,
        logits: Floats,
        embedding: Floats,
    ) -> Classification:
        """Return the answer to one picture from its row: best ids and their scores, best first, and the rest."""
        count = min(options.top_k, len(best))
        if options.score_threshold > 0.0:
            count = min(count, int(np.count_nonzero(scores >= options.score_threshold)))
        open_set = self.manifest.open_set
        return Classification(
            manifest=self.manifest,
            label_ids=best[:count],
            scores=scores[:count],
            unknown_score=unknown_score,
            is_unknown=None if open_set is None or unknown_score is None else unknown_score > open_set.threshold,
            all_scores=all_scores,
            logits=logits if options.is_logits_wanted else None,
            embedding=embedding if options.is_embedding_wanted else None,
        )


def scores_of(logits: Floats, activation: Activation) -> Floats:
    """Return the scores of logits [..., classes], in [0, 1]."""
    return sigmoid(logits) if activation == "sigmoid" else softmax(logits)


def _strangeness(
    package: Package, manifest: ClassificationManifest
) -> Callable[[ClassificationOutputs], NDArray[np.floating]] | None:
    """Return the manifest's way to tell pictures of no known class: a score for each row, higher is stranger."""
    open_set = manifest.open_set
    if open_set is None:
        return None
    if open_set.file is None:
        if open_set.method == "energy":
            return lambda outputs: energy_score(outputs.logits, open_set.temperature)
        return lambda outputs: max_softmax_score(outputs.logits)
    try:
        openmax = OpenMax.load(package.path(open_set.file))
    except (OSError, ValueError) as error:
        raise PackageInvalid(f"{package.name}@{package.version}: {open_set.file}: {error}") from error
    expected = (len(manifest.labels), manifest.output.embedding_size)
    if openmax.means.shape != expected:
        raise PackageInvalid(
            f"{package.name}@{package.version}: {open_set.file} was fitted to (classes, features) "
            f"{openmax.means.shape}, the model has {expected}"
        )
    return lambda outputs: openmax.score(outputs.embeddings, outputs.logits)


def _check_contract(manifest: ClassificationManifest, backend: Backend) -> None:
    """Compare the graph with what the manifest says of it.

    Raises:
        PackageInvalid: an input or output is missing, or has another type or size.
    """
    policy, output = manifest.input, manifest.output
    check_tensor(manifest, "input", backend.inputs, policy.tensor, "uint8", (FREE, policy.height, policy.width, 3))
    check_tensor(manifest, "output", backend.outputs, output.logits, "float", (FREE, len(manifest.labels)))
    if output.embedding is not None:
        check_tensor(manifest, "output", backend.outputs, output.embedding, "float", (FREE, output.embedding_size))
