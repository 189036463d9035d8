"""One inference of the Open Inference Protocol: a request checked against its model, asked, and answered.

Requests come from anybody, so nothing in them is believed before it is checked: names, datatypes, shapes, byte counts.
Parameters that are not known are ignored, since stock clients send several of their own.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinue.oip.open_inference_pb2 import InferParameter, ModelInferRequest, ModelInferResponse
from retinue.runtime.caller import Caller
from retinue.runtime.errors import InvalidInput, NotSupported
from retinue.serving.tensor_model import TensorModel, TensorSpec
from retinue.serving.tensors import BYTES, decode_contents, decode_raw, encode_raw


def infer(model: TensorModel, request: ModelInferRequest, caller: Caller) -> ModelInferResponse:
    """Return a model's answer to a request.

    Args:
        model: the model that the request names.
        request: as it came.
        caller: who waits.

    Raises:
        InvalidInput: the request does not fit the model; the field is named.
        NotSupported: it wants shared memory.
        RetinueError: what the model raises.
    """
    inputs = read_inputs(request, model)
    wanted = read_outputs(request, model)
    arrays = model.infer(inputs, tuple(wanted), hurried(caller, request))
    response = ModelInferResponse(model_name=model.name, model_version=model.version, id=request.id)
    for name, (spec, class_count) in wanted.items():
        datatype, array = spec.datatype, arrays[name]
        if class_count:
            datatype = BYTES
            array = best_classes(array, model.labels(name) or (), class_count, is_batched=model.max_batch_size > 0)
        response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        response.raw_output_contents.append(encode_raw(datatype, array))
    return response


def read_inputs(request: ModelInferRequest, model: TensorModel) -> dict[str, NDArray[Any]]:
    """Return the input tensors of a request by name.

    Raises:
        InvalidInput: an input is unknown, missing or there twice, has no form that the model takes, exceeds the batch,
            or its contents do not fit it.
        NotSupported: an input is in shared memory.
    """
    specs = {spec.name: spec for spec in model.inputs}
    raw_contents = request.raw_input_contents
    _check_names(request, specs)
    if raw_contents and len(raw_contents) != len(specs):
        raise InvalidInput("raw_input_contents", f"{len(raw_contents)} entries for {len(specs)} inputs")
    arrays = {}
    for index, tensor in enumerate(request.inputs):
        field, datatype, shape = f"inputs[{index}]", tensor.datatype, tuple(tensor.shape)
        _check_form(specs[tensor.name], datatype, shape, model.max_batch_size, field)
        if not raw_contents:
            arrays[tensor.name] = decode_contents(datatype, shape, tensor.contents, field)
        elif tensor.HasField("contents") and tensor.contents.ListFields():
            raise InvalidInput(f"{field}.contents", "together with raw_input_contents; all inputs come one way")
        else:
            arrays[tensor.name] = decode_raw(datatype, shape, raw_contents[index], field)
    return arrays


def read_outputs(request: ModelInferRequest, model: TensorModel) -> dict[str, tuple[TensorSpec, int]]:
    """Return the outputs that a request wants, in its order, each with the number of best classes wanted or 0.

    Raises:
        InvalidInput: an output is unknown or there twice, or has no classes.
        NotSupported: an output is wanted in shared memory.
    """
    specs = {spec.name: spec for spec in model.outputs}
    if not request.outputs:
        return {name: (spec, 0) for name, spec in specs.items()}
    wanted: dict[str, tuple[TensorSpec, int]] = {}
    for index, output in enumerate(request.outputs):
        field = f"outputs[{index}]"
        spec = specs.get(output.name)
        if spec is None:
            raise InvalidInput(f"{field}.name", f"no output {output.name!r}; outputs are {', '.join(specs)}")
        if output.name in wanted:
            raise InvalidInput(f"{field}.name", f"{output.name!r} is there twice")
        _refuse_shared_memory(output.parameters, field)
        class_count = _integer(output.parameters, "classification", field) or 0
        if class_count < 0:
            raise InvalidInput(f"{field}.parameters.classification", f"{class_count} is negative")
        if class_count and spec.datatype in (BYTES, "BOOL"):
            raise InvalidInput(f"{field}.parameters.classification", f"{spec.datatype} cannot be ranked")
        wanted[output.name] = spec, class_count
    return wanted


def hurried(caller: Caller, request: ModelInferRequest) -> Caller:
    """Return the caller, or the same with an earlier deadline if the request's ``timeout`` (microseconds) says so.

    Raises:
        InvalidInput: the timeout is no integer.
    """
    timeout_us = _integer(request.parameters, "timeout", "")
    if timeout_us is None or timeout_us <= 0:  # zero and less stand for none in the protocol
        return caller
    deadline_s = time.monotonic() + timeout_us / 1e6
    if caller.deadline_s is not None and caller.deadline_s <= deadline_s:
        return caller
    hurried_caller = caller.part(deadline_s)
    caller.on_cancel(hurried_caller.cancel)
    return hurried_caller


def best_classes(
    scores: NDArray[Any], labels: Sequence[str], class_count: int, *, is_batched: bool
) -> NDArray[np.object_]:
    """Return the best classes of each item as text: the classification extension of the protocol.

    Args:
        scores: any numbers, higher is better; [batch, …] if ``is_batched``.
        labels: names of the classes; those beyond them have none.
        class_count: how many are wanted, at least 1; more than there are gives all.
        is_batched: whether the first dimension is the batch.

    Returns:
        [batch, k] or [k] ``score:index:label``, best first, equal scores by index, NaN last.

    >>> best_classes(np.array([[0.25, 0.5]]), ("cat", "dog"), 1, is_batched=True)
    array([[b'0.500000:1:dog']], dtype=object)
    """
    row_count = len(scores) if is_batched else 1
    rows = scores.reshape(row_count, math.prod(scores.shape[1:] if is_batched else scores.shape))
    count = min(class_count, rows.shape[1])
    # Negated as floats: unsigned integers have no negative.
    order = np.argsort(-rows.astype(np.float64), axis=1, kind="stable")[:, :count]
    texts = np.empty(order.shape, dtype=object)
    form = "{:.6f}" if rows.dtype.kind == "f" else "{}"
    for place, index in np.ndenumerate(order):
        text = f"{form.format(rows[place[0], index])}:{index}"
        texts[place] = (f"{text}:{labels[int(index)]}" if index < len(labels) else text).encode()
    return texts if is_batched else texts[0]


def _check_names(request: ModelInferRequest, specs: Mapping[str, TensorSpec]) -> None:
    """Raise InvalidInput unless every input of the model is there once and none besides."""
    seen: set[str] = set()
    for index, tensor in enumerate(request.inputs):
        if tensor.name not in specs:
            raise InvalidInput(f"inputs[{index}].name", f"no input {tensor.name!r}; inputs are {', '.join(specs)}")
        if tensor.name in seen:
            raise InvalidInput(f"inputs[{index}].name", f"{tensor.name!r} is there twice")
        _refuse_shared_memory(tensor.parameters, f"inputs[{index}]")
        seen.add(tensor.name)
    if len(seen) < len(specs):
        raise InvalidInput("inputs", f"{', '.join(name for name in specs if name not in seen)} missing")


def _check_form(spec: TensorSpec, datatype: str, shape: tuple[int, ...], max_batch_size: int, field: str) -> None:
    """Raise InvalidInput unless the input is of a form that its spec takes, and its batch is small enough."""
    if spec.form.fits(datatype, shape):
        if shape and 0 < max_batch_size < shape[0]:
            raise InvalidInput(
                f"{field}.shape",
                f"a batch of {shape[0]}; at most {max_batch_size} is allowed",
                limit=str(max_batch_size),
            )
        return
    forms = (spec.form, *spec.also)
    if not any(form.fits(datatype, shape) for form in forms):
        wrong = "shape" if any(form.datatype == datatype for form in forms) else "datatype"
        allowed = ", ".join(map(str, forms))
        raise InvalidInput(f"{field}.{wrong}", f"{spec.name} cannot be {datatype} {list(shape)}; it can be {allowed}")


def _refuse_shared_memory(parameters: Mapping[str, InferParameter], field: str) -> None:
    if "shared_memory_region" in parameters:
        raise NotSupported(f"{field} names a shared memory region; tensors travel in the message here")


def _integer(parameters: Mapping[str, InferParameter], name: str, field: str) -> int | None:
    """Return the value of an integer parameter; None where it is not there."""
    if name not in parameters:
        return None
    parameter = parameters[name]
    choice = parameter.WhichOneof("parameter_choice")
    if choice == "int64_param":
        return parameter.int64_param
    if choice == "uint64_param":
        return parameter.uint64_param
    raise InvalidInput(f"{field}.parameters.{name}".lstrip("."), "an integer is required")
