"""What holds for the whole run of the tests."""

import os
import sys
from collections.abc import Iterator

import pytest

# Tests import ONNX Runtime as it is, perhaps before ours; see retinue.runtime.onnx_runtime.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251


@pytest.fixture(scope="session", autouse=True)
def kernels_serve_only_declared_types() -> Iterator[None]:
    """Fail a run in which a kernel was called with types that are not compiled ahead: a caller would wait for it."""
    yield
    module = sys.modules.get("retinue.ops._kernel")
    if module is None:
        return
    from numba.core.sigutils import normalize_signature  # noqa: PLC0415, only where kernels were used

    undeclared = {
        name: [str(types) for types in dispatcher.signatures if types not in declared]
        for name, (dispatcher, signatures) in module.KERNELS.items()
        for declared in [{normalize_signature(signature)[0] for signature in signatures}]
    }
    assert not any(undeclared.values()), {name: types for name, types in undeclared.items() if types}


@pytest.fixture(scope="session", autouse=True)
def gevent_patches_nothing() -> Iterator[None]:
    """Fail a run in which something imported locust: its patches make servers of gRPC in this process hang."""
    assert "locust" not in sys.modules
    yield
    assert "locust" not in sys.modules
