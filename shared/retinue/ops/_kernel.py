"""How inner loops are compiled: numba, without the interpreter's lock, kept on disk so that a process starts fast.

A kernel is compiled at its first call, or taken from the cache in a few milliseconds. `python -m retinue.ops`
compiles all of them ahead, for instance where an image is built. numba's own cache refuses a folder that it cannot
write and stops the import there; the root of an image is read-only, so the cache here reads from such a folder too,
and where there is no folder at all the kernel is compiled in memory.
"""

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    InTreeCacheLocator,
    NullCache,
    UserProvidedCacheLocator,
    UserWideCacheLocator,
)
from numba.core.sigutils import normalize_signature

Function = TypeVar("Function", bound=Callable[..., Any])

KERNELS: dict[
    str, tuple[Any, tuple[str, ...]]
] = {}  # by module and name: numba's dispatcher and the signatures it serves


def kernel(*signatures: str, is_brief: bool = False) -> Callable[[Function], Function]:
    """Return a decorator that compiles a loop over arrays, callable from Python and from other kernels.

    Args:
        signatures: argument types of the calls from Python, as numba writes them (``"(f4[:,::1], f4)"``), one for each
            dtype it serves; none for a loop that only other kernels call. They are what is compiled ahead; a call with
            other types would compile while somebody waits, so the tests fail on one (`tests/conftest.py`).
        is_brief: whether it is called for some microseconds of work only. It keeps the interpreter's lock then: to let
            go of it and win it back among other threads takes longer.

    Notes:
        Floats follow IEEE rules (no fast-math), a division by zero gives infinity or NaN, indices are not checked, and
        the interpreter's lock is not held unless the kernel is brief. Callers pass arrays through `native`.
    """

    def compiled(function: Function) -> Function:
        dispatcher = numba.njit(nogil=not is_brief, error_model="numpy")(function)
        dispatcher._cache = _cache_for(function)  # noqa: SLF001, numba has no public way to give it another cache
        if signatures:
            KERNELS[f"{function.__module__}.{function.__name__}"] = (dispatcher, signatures)
        return cast("Function", dispatcher)

    return compiled


def compile_kernels() -> int:
    """Compile every kernel that has been imported for every signature it declares; return how many there are."""
    for dispatcher, signatures in KERNELS.values():
        for signature in signatures:
            # As types, which is what a call has: the cache would keep the text itself apart.
            dispatcher.compile(normalize_signature(signature)[0])
    return sum(len(signatures) for _, signatures in KERNELS.values())


class _Locator:
    """What numba asks about a cache: the folder, and what must not have changed since."""

    def __init__(self, function: Callable[..., Any], source: str) -> None:
        super().__init__(function, source)  # type: ignore[call-arg] # numba's locator, which stands behind this one
        self._function = function

    def get_source_stamp(self) -> bytes:
        """Return a digest of every file that the kernel is made from, not only of its own as numba does."""
        digest = hashlib.sha256()
        for path in sorted(_sources(self._function)):
            digest.update(path.read_bytes())
        return digest.digest()

    @classmethod
    def from_function(cls, function: Callable[..., Any], source: str) -> Any:
        """Return a locator of this kind if its folder can be written, or holds this function already."""
        if issubclass(cls, UserProvidedCacheLocator) and not numba.config.CACHE_DIR:
            return None
        locator: Any = cls(function, source)
        with contextlib.suppress(OSError):
            locator.ensure_cache_path()
            return locator
        kept = Path(locator.get_cache_path()).glob(f"{Path(source).stem}.{function.__qualname__}-*.nbi")
        return locator if any(kept) else None


class _Given(_Locator, UserProvidedCacheLocator):  # type: ignore[misc] # numba ships no types
    """The folder in NUMBA_CACHE_DIR, where that is set."""


class _Beside(_Locator, InTreeCacheLocator):  # type: ignore[misc]
    """The `__pycache__` beside the source: what an image ships."""


class _OfUser(_Locator, UserWideCacheLocator):  # type: ignore[misc]
    """The user's own cache folder."""


class _Cache(FunctionCache):  # type: ignore[misc]
    """numba's cache of one function, for folders that may be read-only."""

    class _impl_class(CompileResultCacheImpl):  # type: ignore[misc] # noqa: N801, numba's name
        _locator_classes = (_Given, _Beside, _OfUser)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save what was compiled, unless the folder cannot be written: then it stays in this process."""
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)


def _cache_for(function: Callable[..., Any]) -> Any:
    try:
        return _Cache(function)
    except RuntimeError:  # no folder to write or to read
        return NullCache()


def _sources(function: Callable[..., Any]) -> set[Path]:
    """Return the files of a function and of all kernels it calls."""
    return {Path(code.__code__.co_filename) for code in _callees(function, set())}


def _callees(function: Callable[..., Any], seen: set[Callable[..., Any]]) -> set[Callable[..., Any]]:
    if function not in seen:
        seen.add(function)
        for name in function.__code__.co_names:
            callee = getattr(function.__globals__.get(name), "py_func", None)
            if callee is not None:
                _callees(callee, seen)
    return seen
