"""How an engine is set up: what `retinue tune` chooses between, and what a tuning file holds."""

from pydantic import Field

from retinue.runtime.manifest import Part
from retinue.runtime.provider import Provider


class Setup(Part):
    """One way to run a model; each field is a setting of the same name under ``engine``."""

    providers: tuple[Provider, ...] = Field(default=("cpu",), min_length=1, description="What runs it.")
    workers: int = Field(ge=1, le=256, description="Threads that answer batches.")
    threads: int = Field(default=1, ge=1, le=256, description="Threads of one run.")
    is_session_shared: bool = Field(default=True, description="Whether all workers run one session.")
    max_batch_size: int = Field(default=4, ge=1, le=1024, description="Most pictures in one run.")
    max_delay_ms: float = Field(default=0.0, ge=0, le=10_000, description="How long a batch may wait to fill.")

    @property
    def text(self) -> str:
        """The setup in one line.

        >>> Setup(workers=2).text
        'cpu, 2 workers of 1 thread, batches of 4'
        """
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        workers = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        sessions = "" if self.is_session_shared else ", a session each"
        delay = f", delay {self.max_delay_ms:g} ms" if self.max_delay_ms else ""
        return f"{self.providers[0]}, {workers} of {threads}{sessions}, batches of {self.max_batch_size}{delay}"


def default_setup(cores: int) -> Setup:
    """Return how an engine is set up where nothing is said, on so many cores: one worker for each.

    >>> default_setup(2).workers
    2
    """
    return Setup(workers=min(cores, 256))
