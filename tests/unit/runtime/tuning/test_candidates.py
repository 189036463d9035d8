"""Which setups are tried."""

import pytest

from retinue.runtime.setup import Setup, default_setup
from retinue.runtime.tuning.candidates import DELAYS_MS, candidate_setups, delayed


@pytest.mark.parametrize("cores", [1, 2, 3, 4, 8, 64])
def test_the_default_comes_first_and_nobody_twice(cores: int) -> None:
    setups = candidate_setups(cores, ["cpu", "openvino"])

    assert setups[0] == default_setup(cores)
    assert len(set(setups)) == len(setups)
    assert all(setup.workers * setup.threads <= cores for setup in setups)
    assert {setup.providers for setup in setups} == {("cpu",), ("openvino",)}
    assert {setup.max_batch_size for setup in setups} == {1, 2, 4, 8, 16, 32}


def test_sessions_of_their_own_are_for_several_workers_on_onnx_runtime() -> None:
    own = [setup for setup in candidate_setups(4, ["cpu", "openvino"]) if not setup.is_session_shared]
    assert {setup.providers for setup in own} == {("cpu",)}
    assert {setup.workers for setup in own} == {4, 2}


def test_gpu_falls_to_the_cpu_for_what_it_cannot_do() -> None:
    setups = candidate_setups(8, ["cpu", "cuda", "tensorrt"], most_batch_size=16)
    assert {setup.providers for setup in setups} == {("cpu",), ("cuda", "cpu"), ("tensorrt", "cuda", "cpu")}
    assert max(setup.max_batch_size for setup in setups) == 16


def test_delays_are_for_batches() -> None:
    assert delayed(Setup(workers=2, max_batch_size=1)) == []
    assert [setup.max_delay_ms for setup in delayed(Setup(workers=2, max_batch_size=8))] == list(DELAYS_MS)
