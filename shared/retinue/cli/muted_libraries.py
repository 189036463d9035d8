"""Keeps C libraries from writing to stderr beside the one line that the command has to say."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2


@contextmanager
def muted_libraries() -> Iterator[None]:
    """Send what is written to the process's stderr nowhere, but for what Python writes to `sys.stderr`.

    libtiff tells each damaged strip by itself, and cannot be told not to. Where `sys.stderr` is something else already,
    as in tests, nothing is done.
    """
    before = sys.stderr
    try:
        is_plain = before.fileno() == _STDERR
    except (OSError, ValueError, AttributeError):  # not of a file, closed, or none
        is_plain = False
    if not is_plain:
        yield
        return
    before.flush()
    kept = os.dup(_STDERR)
    with (
        open(os.devnull, "wb") as nowhere,  # noqa: PTH123 - no path of anything
        os.fdopen(kept, "w", encoding=before.encoding, errors=before.errors, buffering=1) as own,
    ):
        os.dup2(nowhere.fileno(), _STDERR)
        sys.stderr = own
        try:
            yield
        finally:
            own.flush()
            sys.stderr = before
            os.dup2(kept, _STDERR)
