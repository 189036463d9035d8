"""The conditions that the runtime reports: plain data, free of transport codes.

`retinue.serving.status` holds the one table that turns them into gRPC statuses. `reason` is stable and machine-readable
(UPPER_SNAKE), the message says what was wrong and what is allowed, `metadata` repeats the facts as strings.
"""

from typing import ClassVar, Literal


class RetinueError(Exception):
    """A condition that a caller can be told about.

    Args:
        message: what was wrong and what is allowed; it reaches the caller, so it holds no internals.
        metadata: facts of the message as strings, such as ``field`` or ``limit``.
    """

    reason: ClassVar[str] = "RETINUE_ERROR"

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata


class InvalidInput(RetinueError):
    """A field of the request cannot be used; ``metadata["field"]`` names it."""

    reason = "INVALID_INPUT"

    def __init__(self, field: str, problem: str, **metadata: str) -> None:
        super().__init__(f"{field}: {problem}", field=field, **metadata)
        self.field = field
        self.problem = problem

    def under(self, prefix: str) -> "InvalidInput":
        """Return the same condition with its field placed inside an outer one, as ``images[3].encoded``."""
        metadata = {key: value for key, value in self.metadata.items() if key != "field"}
        return type(self)(f"{prefix}.{self.field}" if self.field else prefix, self.problem, **metadata)


class InvalidImage(InvalidInput):
    """The bytes are no picture that this service reads."""

    reason = "INVALID_IMAGE"


class ImageTooLarge(InvalidInput):
    """The picture is above the byte or pixel limit; ``metadata`` holds ``limit`` and ``actual``."""

    reason = "IMAGE_TOO_LARGE"


class ModelNotFound(RetinueError):
    """No model of that name or version is in the repository."""

    reason = "MODEL_NOT_FOUND"


class ModelNotReady(RetinueError):
    """The model is known but cannot answer now: loading, broken, or the server is draining."""

    reason = "MODEL_NOT_READY"


class LoadFailed(RetinueError):
    """A model that was to be loaded cannot be; whatever was served before still is."""

    reason = "LOAD_FAILED"


class NotAllowed(RetinueError):
    """The caller may not do that."""

    reason = "NOT_ALLOWED"


class NotSupported(RetinueError):
    """The model lacks what was asked of it."""

    reason = "NOT_SUPPORTED"


_LEAST_RETRY_S = 0.01
OverloadCause = Literal["queue_full", "deadline_unmet", "in_flight"]


class Overloaded(RetinueError):
    """No room: the caller should back off for about ``retry_after_s`` seconds.

    ``cause`` says of what: ``queue_full`` (a model's queue), ``deadline_unmet`` (time: the answer would come after the
    caller's deadline) or ``in_flight`` (calls that the server handles at once).
    """

    reason = "OVERLOADED"

    def __init__(self, message: str, *, retry_after_s: float, cause: OverloadCause, **metadata: str) -> None:
        super().__init__(message, cause=cause, **metadata)
        self.cause = cause
        self.retry_after_s = retry_after_s


def late_answer(late_s: float) -> Overloaded:
    """Return the refusal of what would be answered so many seconds after its deadline; it would fit that much later."""
    text = f"the answer would come about {1e3 * late_s:.0f} ms after the deadline"
    return Overloaded(text, retry_after_s=max(late_s, _LEAST_RETRY_S), cause="deadline_unmet")


class LimitExceeded(RetinueError):
    """There is more to answer than the caller, or the service, allows; ``metadata["limit"]`` says how much that is."""

    reason = "LIMIT_EXCEEDED"


class DeadlineExceeded(RetinueError):
    """The caller's deadline passed before the answer was there."""

    reason = "DEADLINE_EXCEEDED"


class Cancelled(RetinueError):
    """The caller went away."""

    reason = "CANCELLED"


class PackageInvalid(RetinueError):
    """A model package cannot be used: its manifest, its files or their digests are wrong."""

    reason = "PACKAGE_INVALID"


class ProviderMissing(RetinueError):
    """An execution provider that was required is not available on this machine."""

    reason = "PROVIDER_MISSING"


class BackendFailed(RetinueError):
    """The backend could not run the graph; a fault of the model or the machine, never of the caller."""

    reason = "BACKEND_FAILED"
