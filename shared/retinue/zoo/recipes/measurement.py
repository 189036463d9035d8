"""What a digits model is worth, measured as it is served: picture file, decoding, input policy, ONNX Runtime."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import structlog
from numpy.typing import NDArray

from retinue.ops import OpenMax
from retinue.runtime.classification_manifest import InputPolicy
from retinue.runtime.onnx_backend import OnnxBackend
from retinue.runtime.picture import PictureLimits, open_picture
from retinue.zoo.recipes.calibration import KEPT, METHODS, Answers, Method, auroc, choose_method, threshold_that_keeps
from retinue.zoo.recipes.handwriting import DARK_ON_LIGHT, LIGHT_ON_DARK, Part, random_style, read_digits, write_digit
from retinue.zoo.recipes.strangers import PHOTOGRAPHS, crop_photographs
from retinue.zoo.recipes.training import as_rows

RENDERINGS = ("light on dark", "dark on light", "varied")
"""How each digit is rendered: plainly, 64x64, in both polarities; at random in size, place, colour, light and noise."""
CROPS_PER_PHOTOGRAPH = 80
OPENMAX_FILE = "openmax.npz"
_SEEDS: dict[Part, int] = {"train": 1, "validation": 2, "test": 3}
_BATCH = 64
_log = structlog.get_logger(__name__)


class ServedGraph:
    """An exported graph, asked as the service asks it: from the bytes of a picture file.

    Args:
        path: the graph.
        policy: the input policy of its manifest.
    """

    def __init__(self, path: Path, policy: InputPolicy) -> None:
        self._backend = OnnxBackend(path)
        self._policy = policy

    def answer(self, files: Sequence[bytes]) -> Answers:
        """Return the model's answers to at least one encoded picture."""
        rows = as_rows([open_picture(file, PictureLimits()).pixels() for file in files], self._policy)
        parts = [
            self._backend.run({"image": rows[start : start + _BATCH]}, ["logits", "embedding"])
            for start in range(0, len(rows), _BATCH)
        ]
        logits, embeddings = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return Answers(logits, embeddings)


def digit_files(part: Part) -> tuple[list[bytes], NDArray[np.int64]]:
    """Return the digits of a part as PNG files, all in one rendering after the other, and their labels."""
    digits = read_digits(part)
    rng = np.random.default_rng(_SEEDS[part])
    pictures = [write_digit(ink, style) for style in (LIGHT_ON_DARK, DARK_ON_LIGHT) for ink in digits.ink]
    pictures += [write_digit(ink, random_style(rng)) for ink in digits.ink]
    return [png(picture) for picture in pictures], np.tile(digits.labels, len(RENDERINGS))


def stranger_files(part: Literal["validation", "test"]) -> list[bytes]:
    """Return crops of the part's photographs as PNG files."""
    return [png(crop) for crop in crop_photographs(part, per_photograph=CROPS_PER_PHOTOGRAPH, seed=_SEEDS[part])]


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return an RGB picture as a PNG file."""
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


def accuracies(answers: Answers, labels: NDArray[np.int64]) -> list[float]:
    """Return the share of right answers to each rendering of `digit_files`, in the order of `RENDERINGS`."""
    is_right = answers.logits.argmax(axis=1) == labels
    return [float(share) for share in is_right.reshape(len(RENDERINGS), -1).mean(axis=1)]


def measure(served: ServedGraph, preferred: Method, openmax_path: Path) -> dict[str, Any]:
    """Return the manifest's ``accuracy`` and ``open_set``, after writing the OpenMax calibration.

    OpenMax is fitted on the train part; method and threshold are chosen on the validation part; the figures are of the
    test part.
    """
    files, labels = digit_files("train")
    answers = served.answer(files)
    openmax = OpenMax.fit(answers.embeddings, answers.logits, labels)
    openmax.save(openmax_path)

    known, strangers = served.answer(digit_files("validation")[0]), served.answer(stranger_files("validation"))
    areas = {method: auroc(method, openmax, known, strangers) for method in METHODS}
    method = choose_method(areas, preferred)
    threshold = threshold_that_keeps(known.scores(method, openmax))
    _log.info("open_set_chosen", method=method, threshold=threshold, preferred=preferred, validation_auroc=areas)

    files, labels = digit_files("test")
    known, strangers = served.answer(files), served.answer(stranger_files("test"))
    areas = {method: auroc(method, openmax, known, strangers) for method in METHODS}
    tops = accuracies(known, labels)
    kept = float((known.scores(method, openmax) <= threshold).mean())
    told = float((strangers.scores(method, openmax) > threshold).mean())
    _log.info("test_measured", top1=dict(zip(RENDERINGS, tops, strict=True)), auroc=areas, kept=kept, told=told)

    digits = "scikit-learn's digits, held-out test part (same writers as the training part)"
    crops = f"crops of scikit-image's and scikit-learn's photographs {_listed(list(map(_stem, PHOTOGRAPHS['test'])))}"
    counts = len(labels), len(strangers.logits)
    return {
        "open_set": {
            "method": method,
            "threshold": threshold,
            "file": OPENMAX_FILE if method == "openmax" else None,
            "auroc": round(areas[method], 4),
            "measured_on": f"{counts[0]} pictures of {digits}, {_listed(RENDERINGS)}, against {counts[1]} {crops}. "
            f"By method: {', '.join(f'{name} {area:.4f}' for name, area in areas.items())}. Method and threshold come "
            f"from the validation part and crops of other photographs; the threshold keeps {KEPT:.0%} of that part's "
            "digits. Training saw drawn patterns of no digit, no photographs.",
        },
        "accuracy": [
            *(
                _figure("top1", top, f"{digits}, {rendering}", counts[0] // len(RENDERINGS))
                for rendering, top in zip(RENDERINGS, tops, strict=True)
            ),
            _figure("known_kept", kept, f"{digits}, {_listed(RENDERINGS)}", counts[0]),
            _figure("unknown_told", told, crops, counts[1]),
        ],
    }


def _figure(metric: str, value: float, dataset: str, sample_count: int) -> dict[str, Any]:
    return {"metric": metric, "value": round(value, 4), "dataset": dataset, "sample_count": sample_count}


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _stem(name: str) -> str:
    return name.partition(".")[0]
