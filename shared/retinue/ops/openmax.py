"""OpenMax: how far a picture's features lie from those of its likely classes, as the probability of no class at all."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retinue.ops._arrays import Float, class_logits, finite_floats, whole_number
from retinue.ops.scores import softmax, top_k

# The Weibull shape is looked for between these. A tail of equal distances has none: it gets the upper end, a step.
_SHAPE_RANGE = (1e-4, 1e6)
_BISECTIONS = 60  # halves the logarithm of that range down to float64's resolution
_EUCLIDEAN_UNIT = 200.0  # the paper's weight of the Euclidean part of a distance

_ARRAY_NAMES = ("means", "shifts", "scales", "shapes")
# What reading a damaged or hostile archive raises, all of it meaning that the file is no calibration.
_UNREADABLE = (ValueError, EOFError, KeyError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True, eq=False)
class OpenMax:
    """A fitted calibration: a mean activation and a Weibull tail of distances for each of K classes.

    Args:
        means: (K, D) mean activation of each class, finite.
        shifts: (K,) smallest distance of each tail; it counts as 1 (the convention of libMR, see `fit`).
        scales: (K,) Weibull scale of each shifted tail, above 0.
        shapes: (K,) Weibull shape of each shifted tail, above 0.
        alpha: how many of the best classes are revised, 1 to K.

    Raises:
        ValueError: a shape does not fit the others, or a value is out of range; the message names it.

    Source:
        Bendale and Boult, CVPR 2016, arXiv:1511.06233. Distances (eucos), tails (libMR) and weights as the authors'
        code has them: the best class has the full weight, whereas the paper counts ranks from 1.
    """

    means: NDArray[np.float64]
    shifts: NDArray[np.float64]
    scales: NDArray[np.float64]
    shapes: NDArray[np.float64]
    alpha: int

    def __post_init__(self) -> None:
        for name in _ARRAY_NAMES:
            array = finite_floats(getattr(self, name), name).astype(np.float64)  # a copy, so that freezing stays inside
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.means.ndim != 2 or 0 in self.means.shape:
            raise ValueError(f"means: must be (classes, features), at least 1 of each, got {self.means.shape}")
        for name in _ARRAY_NAMES[1:]:
            array = getattr(self, name)
            if array.shape != (self.class_count,):
                raise ValueError(f"{name}: must be ({self.class_count},), one for each class, got {array.shape}")
        for name in ("scales", "shapes"):
            if not (getattr(self, name) > 0).all():
                raise ValueError(f"{name}: must be above 0")
        object.__setattr__(self, "alpha", whole_number(self.alpha, "alpha", at_least=1))
        if self.alpha > self.class_count:
            raise ValueError(f"alpha: must be at most {self.class_count}, the number of classes, got {self.alpha}")

    @property
    def class_count(self) -> int:
        """How many known classes there are, K."""
        return len(self.means)

    @classmethod
    def fit(
        cls,
        activations: NDArray[Float],
        logits: NDArray[Float],
        labels: ArrayLike,
        *,
        tail_size: int = 20,
        alpha: int = 10,
    ) -> Self:
        """Return the calibration that training samples give.

        Only samples that the model gets right count. The class mean is taken over them; a Weibull distribution is
        fitted, by maximum likelihood, to the `tail_size` largest of their distances to it. As in libMR the tail is
        shifted before the fit so that its smallest value is 1.

        Args:
            activations: (n, D) features, float32 or float64: the embedding, or the logits themselves as in the paper.
            logits: (n, K) float32 or float64.
            labels: (n,) whole numbers in [0, K).
            tail_size: distances in a tail, at least 1; a class with fewer samples uses all it has.
            alpha: how many of the best classes are revised, at least 1; more than K counts as K.

        Raises:
            ValueError: shapes or values do not fit, or a class has no sample that the model gets right.

        Notes:
            A tail of equal distances, one sample included, makes a step: shape 1e6 at distance 1.
        """
        features, scores = _matching_rows(activations, logits)
        names = np.asarray(labels)
        if names.shape != scores.shape[:1] or names.dtype.kind not in "iu":
            raise ValueError(f"labels: must be ({scores.shape[0]},) whole numbers, got {names.shape} {names.dtype}")
        if names.size and not (names.min() >= 0 and names.max() < scores.shape[1]):
            raise ValueError(f"labels: must be in [0, {scores.shape[1]})")
        tail_size = whole_number(tail_size, "tail_size", at_least=1)
        is_right = scores.argmax(axis=1) == names
        means, tails = [], []
        for label in range(scores.shape[1]):
            members = features[is_right & (names == label)]
            if len(members) == 0:
                raise ValueError(f"labels: class {label} has no sample that the model gets right")
            means.append(members.mean(axis=0))
            distances = _eucos(members, means[-1])
            tails.append(np.sort(distances)[-tail_size:])
        fits = [_fit_weibull(tail - tail[0] + 1) for tail in tails]
        return cls(
            means=np.stack(means),
            shifts=np.array([tail[0] for tail in tails]),
            scales=np.array([scale for scale, _ in fits]),
            shapes=np.array([shape for _, shape in fits]),
            alpha=min(whole_number(alpha, "alpha", at_least=1), scores.shape[1]),
        )

    def probabilities(self, activations: NDArray[Float], logits: NDArray[Float]) -> NDArray[np.float64]:
        """Return the probabilities of the K classes and, last, of none of them.

        The logit of the class of rank i (from 0, equal logits by lowest class) keeps the share
        ``w = 1 - CDF(distance) * (alpha - i) / alpha``; what all of them lose becomes the logit of the unknown.

        Args:
            activations: (n, D) as in `fit`.
            logits: (n, K) as in `fit`.

        Returns:
            (n, K + 1) in [0, 1], each row summing to 1.

        Raises:
            ValueError: shapes do not fit the calibration, or a value is NaN, infinite or no real number.

        Notes:
            To the letter for negative logits too: what a negative logit loses is taken off the unknown's.
        """
        features, scores = _matching_rows(activations, logits)
        if features.shape[1] != self.means.shape[1] or scores.shape[1] != self.class_count:
            raise ValueError(
                f"activations: calibrated for {self.means.shape[1]} features and {self.class_count} classes, "
                f"got {features.shape[1]} and {scores.shape[1]}"
            )
        ranked = top_k(scores, self.alpha)
        removed = np.zeros_like(scores)
        for rank in range(self.alpha):
            label = ranked[:, rank, None]
            share = self._cdf(_eucos(features, self.means[label[:, 0]]), label[:, 0]) * (self.alpha - rank) / self.alpha
            np.put_along_axis(removed, label, np.take_along_axis(scores, label, axis=1) * share[:, None], axis=1)
        unknown = removed.sum(axis=1, keepdims=True)
        return softmax(np.concatenate([scores - removed, unknown], axis=1))

    def score(self, activations: NDArray[Float], logits: NDArray[Float]) -> NDArray[np.float64]:
        """Return the probability of no known class, (n,) in [0, 1]; higher is stranger. See `probabilities`."""
        return self.probabilities(activations, logits)[:, -1]

    def save(self, path: Path) -> None:
        """Write the calibration as an .npz file, the same bytes for the same values."""
        arrays = {name: getattr(self, name) for name in _ARRAY_NAMES}
        with path.open("wb") as file:
            np.savez(file, alpha=np.int64(self.alpha), **arrays)

    @classmethod
    def load(cls, source: Path | IO[bytes]) -> Self:
        """Return the calibration that an .npz file holds.

        Args:
            source: its path, or the opened file.

        Raises:
            ValueError: it is no .npz file, an array is missing, unknown or pickled, or its values are out of range.
            OSError: it cannot be opened or read.
        """
        try:
            archive = np.load(source, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("one array instead of an archive")  # noqa: TRY004 - the file is wrong, no caller's type
            with archive:
                arrays = {name: np.asarray(archive[name]) for name in archive.files}
        except _UNREADABLE as error:
            raise ValueError(f"not an OpenMax calibration: {error}") from error
        if set(arrays) != {*_ARRAY_NAMES, "alpha"}:
            raise ValueError(f"not an OpenMax calibration: holds {sorted(arrays)}")
        alpha = arrays.pop("alpha")
        if alpha.ndim or alpha.dtype.kind not in "iu":
            raise ValueError(f"alpha: must be one whole number, got {alpha.dtype} {alpha.shape}")
        return cls(**arrays, alpha=int(alpha))

    def _cdf(self, distances: NDArray[np.float64], labels: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the share of each class's tail that lies nearer than a distance, (n,) in [0, 1]."""
        shifted = np.maximum(distances - self.shifts[labels] + 1, 0)
        with np.errstate(divide="ignore", over="ignore", under="ignore"):
            exponent = np.exp(self.shapes[labels] * (np.log(shifted) - np.log(self.scales[labels])))
            return cast("NDArray[np.float64]", -np.expm1(-exponent))


def _matching_rows(
    activations: NDArray[Float], logits: NDArray[Float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both as float64 matrices with as many rows.

    Raises:
        ValueError: they are no such matrices; the message names which.
    """
    features = finite_floats(activations, "activations").astype(np.float64, copy=False)
    scores = class_logits(logits).astype(np.float64, copy=False)
    if scores.ndim != 2:
        raise ValueError(f"logits: must be (n, classes), got {scores.shape}")
    if features.ndim != 2 or features.shape[0] != scores.shape[0] or features.shape[1] == 0:
        raise ValueError(f"activations: must be ({scores.shape[0]}, features) like logits, got {features.shape}")
    return features, scores


def _eucos(features: NDArray[np.float64], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Euclidean distance / 200 plus cosine distance of each row; a zero vector has cosine distance 1 to all."""
    euclidean = np.linalg.norm(features - means, axis=-1)
    lengths = np.linalg.norm(features, axis=-1) * np.linalg.norm(means, axis=-1)
    cosine = (features * means).sum(axis=-1) / np.where(lengths > 0, lengths, 1)
    return cast("NDArray[np.float64]", euclidean / _EUCLIDEAN_UNIT + 1 - cosine)


def _fit_weibull(tail: NDArray[np.float64]) -> tuple[float, float]:
    """Return scale and shape of the likeliest two-parameter Weibull distribution of values of at least 1.

    The likelihood is greatest where ``sum(x^k ln x) / sum(x^k) - 1 / k = mean(ln x)``; the left side grows with the
    shape k, so that bisection finds the one root. Powers are taken of x over its largest, which no shape overflows.
    """
    logs = np.log(tail)
    below = logs - logs.max()
    low, high = np.log(_SHAPE_RANGE)
    for _ in range(_BISECTIONS):
        shape = np.exp((low + high) / 2)
        powers = np.exp(shape * below)
        if (powers * below).sum() / powers.sum() - 1 / shape < below.mean():
            low = np.log(shape)
        else:
            high = np.log(shape)
    shape = float(np.exp((low + high) / 2))
    scale = float(np.exp(logs.max() + np.log(np.exp(shape * below).mean()) / shape))
    return scale, shape
