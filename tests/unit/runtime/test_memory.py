"""Memory that goes back to the system."""

import os
import sys
from pathlib import Path

import pytest

from retinue.runtime.memory import return_free_memory


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_free_memory_goes_back_though_something_above_it_is_in_use() -> None:
    def rss_bytes() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    pieces = [bytearray(60_000) for _ in range(2000)]  # 120 MB, in pieces that are not mapped each on its own
    kept = pieces[1::50]
    held = rss_bytes()
    del pieces
    return_free_memory()
    assert held - rss_bytes() > 80_000_000
    assert len(kept) == 40
