"""The Open Inference Protocol face has the names, numbers and types of the stock client, so that its bytes are ours."""

import json
import subprocess
import sys
from typing import Any

import pytest

# Two descriptions of the package `inference` cannot live in one process, so each is read in one of its own.
DUMP = """
import importlib, json, sys

def field(one):
    kind = one.message_type or one.enum_type
    oneof = one.containing_oneof.name if one.containing_oneof else None
    return [one.number, one.type, one.is_repeated, kind.full_name if kind else None, oneof]

def enum(one):
    return {value.name: value.number for value in one.values}

def messages(these):
    for one in these:
        yield one.full_name, {name: field(f) for name, f in one.fields_by_name.items()}
        yield from messages(one.nested_types)

def method(one):
    return [one.input_type.full_name, one.output_type.full_name, one.client_streaming, one.server_streaming]

wire = {"messages": {}, "enums": {}, "methods": {}}
for name in sys.argv[1:]:
    file = importlib.import_module(name).DESCRIPTOR
    wire["messages"] |= dict(messages(file.message_types_by_name.values()))
    wire["enums"] |= {one.full_name: enum(one) for one in file.enum_types_by_name.values()}
    for service in file.services_by_name.values():
        wire["methods"] |= {one.full_name: method(one) for one in service.methods}
print(json.dumps(wire))
"""
# The one field of the Open Inference Protocol that the stock client lacks.
PROPERTIES = ("inference.ModelMetadataResponse", "properties")


def dumped(*modules: str) -> dict[str, Any]:
    """Return names, numbers and types of all that some generated modules describe."""
    run = subprocess.run([sys.executable, "-c", DUMP, *modules], capture_output=True, text=True, check=True)
    wire: dict[str, Any] = json.loads(run.stdout)
    return wire


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    return dumped("retinue.oip.open_inference_pb2")


@pytest.fixture(scope="module")
def stock() -> dict[str, Any]:
    return dumped("tritonclient.grpc.service_pb2", "tritonclient.grpc.model_config_pb2")


def test_every_field_equals_the_stock_clients(ours: dict[str, Any], stock: dict[str, Any]) -> None:
    """Number, type, repetition, message and oneof of each field that we declare."""
    fields = [(message, name) for message, fields in ours["messages"].items() for name in fields]
    fields = [field for field in fields if field != PROPERTIES and not field[0].endswith(".PropertiesEntry")]
    assert len(fields) > 100
    for message, name in fields:
        assert ours["messages"][message][name] == stock["messages"][message].get(name), f"{message}.{name}"


def test_no_field_number_of_the_stock_client_is_used_for_something_else(
    ours: dict[str, Any], stock: dict[str, Any]
) -> None:
    for message, fields in ours["messages"].items():
        theirs = {field[0]: name for name, field in stock["messages"].get(message, {}).items()}
        for name, field in fields.items():
            assert theirs.get(field[0], name) == name, f"{message}.{name}"


def test_properties_have_the_number_of_the_open_inference_protocol(ours: dict[str, Any]) -> None:
    message, name = PROPERTIES
    assert ours["messages"][message][name][0] == 6


def test_every_enum_value_equals_the_stock_clients(ours: dict[str, Any], stock: dict[str, Any]) -> None:
    assert ours["enums"] == {name: stock["enums"][name] for name in ours["enums"]}


def test_every_method_equals_the_stock_clients(ours: dict[str, Any], stock: dict[str, Any]) -> None:
    """Full name, messages and streaming: the path on the wire is made of them."""
    assert ours["methods"] == {name: stock["methods"][name] for name in ours["methods"]}
    assert {name.rsplit(".", 1)[1] for name in ours["methods"]} == {
        "ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer", "ModelStreamInfer",
        "ModelConfig", "ModelStatistics", "RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload",
    }  # fmt: skip
