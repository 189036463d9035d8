"""Where the time of one answer went."""

from dataclasses import dataclass


@dataclass(slots=True)
class Timings:
    """Seconds spent in each stage, filled in as the stages end; and how many items shared the run.

    Between an item's preprocessing and its run lies the preprocessing of the others of its batch; so it is also said
    when the run began, on the monotonic clock, 0 where there was none.
    """

    queue_s: float = 0.0
    decode_s: float = 0.0
    preprocess_s: float = 0.0
    infer_s: float = 0.0
    postprocess_s: float = 0.0
    batch_size: int = 0
    infer_begin_s: float = 0.0

    def add(self, other: "Timings") -> None:
        """Add the stages of another answer that is part of this one; its batch counts if it is the largest."""
        self.queue_s += other.queue_s
        self.decode_s += other.decode_s
        self.preprocess_s += other.preprocess_s
        self.infer_s += other.infer_s
        self.postprocess_s += other.postprocess_s
        self.batch_size = max(self.batch_size, other.batch_size)
