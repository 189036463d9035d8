"""Where the time of an answer went inside a service."""

from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from retinue.common.v1 import model_pb2


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds that the answer spent in each stage inside the service; and how many pictures shared the model run."""

    queue_s: float
    decode_s: float
    preprocess_s: float
    infer_s: float
    postprocess_s: float
    batch_size: int

    @property
    def total_s(self) -> float:
        """Seconds inside the service; the way there and back is not in it."""
        return self.queue_s + self.decode_s + self.preprocess_s + self.infer_s + self.postprocess_s


def read_timings(timings: model_pb2.Timings) -> Timings:
    """Return the value that a message holds."""
    return Timings(
        seconds(timings.queue),
        seconds(timings.decode),
        seconds(timings.preprocess),
        seconds(timings.infer),
        seconds(timings.postprocess),
        timings.batch_size,
    )


def seconds(duration: Duration) -> float:
    """Return a duration as a number."""
    return duration.seconds + duration.nanos / 1e9
