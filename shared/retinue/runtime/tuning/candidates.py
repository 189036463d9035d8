"""Which setups are worth trying on a machine."""

from collections.abc import Sequence

from retinue.runtime.provider import ON_CPU, Provider
from retinue.runtime.setup import Setup, default_setup

_BATCH_SIZES = (4, 1, 2, 8, 16, 32)  # in the order of promise
_GPU_BATCH_SIZES = (8, 16, 32, 4, 1, 64)
_GPU_WORKERS = (2, 1, 3)
DELAYS_MS = (2.0, 5.0)


def candidate_setups(
    cores: int,
    providers: Sequence[Provider],
    *,
    most_batch_size: int = 32,
) -> list[Setup]:
    """Return what to try, the default first, then the most promising first.

    Workers and threads multiply to the cores: each worker alone on one, all cores for one, and what lies between. None
    has a delay: whether that helps is asked of the best only, see `delayed`.

    Args:
        cores: that the process may use.
        providers: that are installed.
        most_batch_size: more rows than this do not run together.

    >>> [setup.max_batch_size for setup in candidate_setups(1, ["cpu"], most_batch_size=4)]
    [4, 1, 2]
    """
    default = default_setup(cores)
    fitting = [size for size in _BATCH_SIZES if size <= most_batch_size]
    setups = [default]
    for size in fitting:
        for workers, threads in _shares(cores):
            for provider in providers:
                if provider not in ON_CPU:
                    continue
                setup = Setup(providers=(provider,), workers=workers, threads=threads, max_batch_size=size)
                setups.append(setup)
                if provider == "cpu" and workers > 1:
                    setups.append(setup.model_copy(update={"is_session_shared": False}))
    for provider in providers:
        if provider in ON_CPU:
            continue
        beside: tuple[Provider, ...] = ("tensorrt", "cuda", "cpu") if provider == "tensorrt" else ("cuda", "cpu")
        setups += [
            Setup(providers=beside, workers=workers, max_batch_size=size)
            for size in _GPU_BATCH_SIZES
            if size <= most_batch_size
            for workers in _GPU_WORKERS
        ]
    return list(dict.fromkeys(setups))


def delayed(setup: Setup) -> list[Setup]:
    """Return a setup that waits for its batches to fill, for each delay worth trying; none where batches are of one."""
    if setup.max_batch_size == 1:
        return []
    return [setup.model_copy(update={"max_delay_ms": delay_ms}) for delay_ms in DELAYS_MS]


def _shares(cores: int) -> list[tuple[int, int]]:
    """Return workers and threads of each, one thread each first.

    >>> _shares(6)
    [(6, 1), (3, 2), (1, 6)]
    """
    shares = [(cores, 1), *((cores // threads, threads) for threads in (2, 4) if cores // threads > 1), (1, cores)]
    return list(dict.fromkeys(shares))
