"""Compile every kernel ahead, so that no caller waits for it: `python -m retinue.ops`, once where an image is built."""

import importlib
import pkgutil
import sys
import time

from retinue import ops
from retinue.ops._kernel import compile_kernels


def main() -> int:
    """Import all of retinue.ops, compile or load its kernels, and say how long that took."""
    begin = time.perf_counter()
    for module in pkgutil.iter_modules(ops.__path__):
        if module.name != "__main__":
            importlib.import_module(f"{ops.__name__}.{module.name}")
    count = compile_kernels()
    sys.stdout.write(f"{count} kernels ready in {time.perf_counter() - begin:.2f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
