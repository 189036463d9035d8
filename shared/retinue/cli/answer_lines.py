"""Answers as JSON, one object per line, printed as they come."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from retinue.client.classification_answer import Classification
from retinue.client.errors import ItemError


class AnswerLines:
    """Prints each result at once; the counterpart of `AnswerTable`."""

    def add(self, file: Path, result: Classification | ItemError) -> None:
        """Print one result."""
        sys.stdout.write(json_line(file, result) + "\n")
        sys.stdout.flush()

    def finish(self) -> None:
        """Do nothing: all is printed."""


def json_line(file: Path, result: Classification | ItemError) -> str:
    """Return one result as a JSON object without line breaks: ASCII, numbers finite or null."""
    if isinstance(result, ItemError):
        error: dict[str, Any] = {"code": result.code.name, "reason": result.reason, "message": result.message}
        if result.retry_after_s is not None:
            error["retry_after_s"] = result.retry_after_s
        return json.dumps({"file": str(file), "error": error})
    timings = result.timings
    content = {
        "file": str(file),
        "labels": [
            {"id": one.label.class_id, "name": one.label.name, "score": _number(one.score)} for one in result.labels
        ],
        "is_unknown": result.is_unknown,
        "unknown_score": _number(result.unknown_score),
        "model": {"name": result.model_name, "version": result.model_version},
        "image": {"width": result.image_info.width, "height": result.image_info.height},
        "timings": {
            "queue_s": timings.queue_s,
            "decode_s": timings.decode_s,
            "preprocess_s": timings.preprocess_s,
            "infer_s": timings.infer_s,
            "postprocess_s": timings.postprocess_s,
            "batch_size": timings.batch_size,
        },
    }
    return json.dumps(content, allow_nan=False)


def _number(value: float | None) -> float | None:
    """Return a float32 by its shortest decimal form, as 0.9 and not 0.8999999761581421; None where it is not finite."""
    return None if value is None or not math.isfinite(value) else float(str(np.float32(value)))
