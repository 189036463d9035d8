"""Answers as JSON, one object per line, printed as they come."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from retinue.client.errors import ItemError
from retinue.client.image_info import ImageInfo
from retinue.client.timings import Timings


class Answered(Protocol):
    """What the answers of all services tell besides their findings."""

    @property
    def image_info(self) -> ImageInfo:
        """The picture as the service saw it."""

    @property
    def model_name(self) -> str:
        """The model that answered."""

    @property
    def model_version(self) -> str:
        """Its version."""

    @property
    def timings(self) -> Timings:
        """Where the time went."""


Answer = TypeVar("Answer", bound=Answered)


class AnswerLines(Generic[Answer]):
    """Prints each result at once; the counterpart of a table.

    Args:
        findings: what an answer found, as entries of a JSON object.
    """

    def __init__(self, findings: Callable[[Answer], dict[str, Any]]) -> None:
        self._findings = findings

    def add(self, file: Path, result: Answer | ItemError) -> None:
        """Print one result."""
        sys.stdout.write(json_line(file, result, self._findings) + "\n")
        sys.stdout.flush()

    def finish(self) -> None:
        """Do nothing: all is printed."""


def json_line(file: Path, result: Answer | ItemError, findings: Callable[[Answer], dict[str, Any]]) -> str:
    """Return one result as a JSON object without line breaks: ASCII, numbers finite or null."""
    if isinstance(result, ItemError):
        error: dict[str, Any] = {"code": result.code.name, "reason": result.reason, "message": result.message}
        if result.retry_after_s is not None:
            error["retry_after_s"] = result.retry_after_s
        return json.dumps({"file": str(file), "error": error})
    timings = result.timings
    content = {
        "file": str(file),
        **findings(result),
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


def json_number(value: float | None) -> float | None:
    """Return a float32 by its shortest decimal form, as 0.9 and not 0.8999999761581421; None where it is not finite."""
    return None if value is None or not math.isfinite(value) else float(str(np.float32(value)))
