"""What GPU providers are told; the words are those of ONNX Runtime's documentation, and no GPU has read them here."""

from pathlib import Path

import pytest

from retinue.runtime.backend import TensorInfo
from retinue.runtime.provider_options import fixed_shape, is_batch_alone_open, profile_options, provider_options

IMAGE = {"image": TensorInfo("image", "tensor(uint8)", (None, 224, 200, 3))}
OPEN = {"image": TensorInfo("image", "tensor(uint8)", (None, None, None, 3))}
FIXED = {"image": TensorInfo("image", "tensor(float)", (1, 3, 64, 64))}
TWO = {**IMAGE, "size": TensorInfo("size", "tensor(int64)", (None, 2))}


def test_cpu_needs_no_options() -> None:
    assert provider_options("cpu", inputs=IMAGE, batch_sizes=[1, 2], cache=Path("/c"), is_captured=True) == {}


@pytest.mark.parametrize("is_captured", [True, False])
def test_cuda_records_graphs_where_that_is_wanted(*, is_captured: bool) -> None:
    options = provider_options("cuda", inputs=IMAGE, batch_sizes=[1], is_captured=is_captured)
    assert options.get("enable_cuda_graph") == ("1" if is_captured else None)
    assert options["use_tf32"] == "0"


def test_tensorrt_keeps_its_engines_in_the_cache() -> None:
    options = provider_options("tensorrt", inputs=IMAGE, batch_sizes=[1, 2, 8], cache=Path("/cache/pets"))
    assert options["trt_engine_cache_enable"] == options["trt_timing_cache_enable"] == "True"
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == "/cache/pets"
    without = provider_options("tensorrt", inputs=IMAGE, batch_sizes=[1])
    assert without["trt_engine_cache_enable"] == "False"
    assert "trt_engine_cache_path" not in without


def test_sixteen_bits_are_for_models_that_stand_them() -> None:
    flags = {
        precision: provider_options("tensorrt", inputs=IMAGE, batch_sizes=[1], precision=precision)["trt_fp16_enable"]
        for precision in ("float32", "float16")
    }
    assert flags == {"float32": "False", "float16": "True"}


def test_every_value_is_text() -> None:
    for provider in ("cuda", "tensorrt"):
        options = provider_options(
            provider, inputs=IMAGE, batch_sizes=[1, 4], precision="float16", cache=Path("/c"), is_captured=True
        )
        assert all(type(value) is str for value in options.values())


def test_shapes_are_built_for_where_nothing_but_the_batch_is_open() -> None:
    assert profile_options(IMAGE, [1, 2, 4, 8]) == {
        "trt_profile_min_shapes": "image:1x224x200x3",
        "trt_profile_opt_shapes": "image:8x224x200x3",
        "trt_profile_max_shapes": "image:8x224x200x3",
    }


@pytest.mark.parametrize("inputs", [OPEN, FIXED, TWO, {}])
def test_other_graphs_have_no_profile(inputs: dict[str, TensorInfo]) -> None:
    assert profile_options(inputs, [1, 2]) == {}
    assert not is_batch_alone_open(inputs)


def test_open_sides_are_set() -> None:
    assert fixed_shape(IMAGE["image"], 5) == (5, 224, 200, 3)
    assert fixed_shape(FIXED["image"], 5) == (1, 3, 64, 64)
