"""What a service said of itself at one moment of a run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """One service at one moment.

    Args:
        at_s: seconds since the run began.
        service: whose it is.
        queue_length: items that waited.
        in_flight_calls: calls being handled.
        cpu_s: CPU seconds used by all replicas so far.
        resident_bytes: memory of all replicas.
    """

    at_s: float
    service: str
    queue_length: float
    in_flight_calls: float
    cpu_s: float
    resident_bytes: float
