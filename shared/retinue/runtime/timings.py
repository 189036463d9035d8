"""Where the time of one answer went."""

from dataclasses import dataclass


@dataclass(slots=True)
class Timings:
    """Seconds spent in each stage, filled in as the stages end; and how many items shared the run."""

    queue_s: float = 0.0
    decode_s: float = 0.0
    preprocess_s: float = 0.0
    infer_s: float = 0.0
    postprocess_s: float = 0.0
    batch_size: int = 0
