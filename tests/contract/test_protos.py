"""The house rules of the protos, read from descriptors with comments; `buf lint` knows most, but not all, of them."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import google.rpc
import pytest
from google.protobuf.descriptor_pb2 import (
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from grpc_tools import protoc

PROTOS = Path(__file__).parents[2] / "protos"
OIP = "inference"  # the Open Inference Protocol gives names and types there; only the comments are ours
UNSIGNED = {
    FieldDescriptorProto.TYPE_UINT32,
    FieldDescriptorProto.TYPE_UINT64,
    FieldDescriptorProto.TYPE_FIXED32,
    FieldDescriptorProto.TYPE_FIXED64,
}
SPAN = re.compile(r"(^|_)(s|ms|us|ns|secs?|seconds|millis|micros|nanos|time|duration|timeout|delay|latency)$")

SYNTAX = (12,)  # path of the syntax line, which the comment of the file stands above
CHILDREN = {  # kind, attribute and field number (of descriptor.proto) of what is inside each kind of element
    "file": (("message", "message_type", 4), ("enum", "enum_type", 5), ("service", "service", 6)),
    "message": (
        ("field", "field", 2),
        ("message", "nested_type", 3),
        ("enum", "enum_type", 4),
        ("oneof", "oneof_decl", 8),
    ),
    "enum": (("value", "value", 2),),
    "service": (("rpc", "method", 2),),
}


@dataclass(frozen=True, slots=True)
class Element:
    """One commentable thing of a proto: its kind, full name, descriptor and whether a comment stands above it."""

    kind: str
    name: str
    node: Any
    is_commented: bool


def described(folder: Path, output: Path) -> list[FileDescriptorProto]:
    """Return the descriptors of the protos under a folder, with their comments."""
    googleapis = Path(next(iter(google.rpc.__path__))).parents[1]
    sources = sorted(folder.rglob("*.proto"))
    includes = [f"-I{path}" for path in (folder, PROTOS, files("grpc_tools") / "_proto", googleapis)]
    flags = ["--include_source_info", "--include_imports", f"--descriptor_set_out={output}"]
    assert protoc.main(["protoc", *includes, *flags, *map(str, sources)]) == 0
    ours = {str(source.relative_to(folder)) for source in sources}
    return [file for file in FileDescriptorSet.FromString(output.read_bytes()).file if file.name in ours]


def elements(file: FileDescriptorProto) -> Iterator[Element]:
    """Yield everything in a file that a comment belongs to."""
    places = file.source_code_info.location
    commented = {tuple(place.path) for place in places if place.leading_comments or place.trailing_comments}

    def below(kind: str, node: Any, name: str, path: tuple[int, ...]) -> Iterator[Element]:
        for child_kind, attribute, number in CHILDREN.get(kind, ()):
            for index, child in enumerate(getattr(node, attribute)):
                if is_written(child_kind, child, node):
                    child_name, child_path = f"{name}.{child.name}", (*path, number, index)
                    yield Element(child_kind, child_name, child, child_path in commented)
                    yield from below(child_kind, child, child_name, child_path)

    yield Element("file", file.name, file, SYNTAX in commented)
    yield from below("file", file, file.package, ())


def is_written(kind: str, node: Any, parent: Any) -> bool:
    """Return whether somebody wrote the element; protoc adds map entries, and oneofs for optional fields."""
    if kind == "oneof":
        index = list(parent.oneof_decl).index(node)
        return not any(field.proto3_optional and field.oneof_index == index for field in parent.field)
    return kind != "message" or not node.options.map_entry


def nodes(file: FileDescriptorProto, kind: str) -> Iterator[tuple[str, Any]]:
    """Yield full name and descriptor of every element of one kind."""
    return ((item.name, item.node) for item in elements(file) if item.kind == kind)


def uncommented(file: FileDescriptorProto) -> Iterable[str]:
    """Every element has a comment."""
    return (f"{item.kind} {item.name}" for item in elements(file) if not item.is_commented)


def misplaced(file: FileDescriptorProto) -> Iterable[str]:
    """The package is the directory, and ends in its version."""
    expected = str(Path(file.name).parent).replace("/", ".")
    if file.package != expected or not re.search(r"\.v\d+$", file.package):
        yield f"{file.name}: package {file.package}"


def misnamed_value(file: FileDescriptorProto) -> Iterable[str]:
    """Enum values carry the name of their enum, and zero says that nothing was said."""
    for name, enum in nodes(file, "enum"):
        prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
        for value in enum.value:
            is_unspecified = value.name == f"{prefix}UNSPECIFIED"
            if not value.name.startswith(prefix) or is_unspecified != (value.number == 0):
                yield f"{name}.{value.name}"


def implicit_threshold(file: FileDescriptorProto) -> Iterable[str]:
    """A threshold of 0 differs from none."""
    for name, field in nodes(file, "field"):
        is_scalar = field.label != FieldDescriptorProto.LABEL_REPEATED
        if "threshold" in field.name and is_scalar and not field.proto3_optional:
            yield name


def shared_message(file: FileDescriptorProto) -> Iterable[str]:
    """Each RPC has a request and a response of its own, in its own package, named after it."""
    for name, method in nodes(file, "rpc"):
        types = (method.input_type, method.output_type)
        if types != (f".{file.package}.{method.name}Request", f".{file.package}.{method.name}Response"):
            yield name


def misnamed_service(file: FileDescriptorProto) -> Iterable[str]:
    """A service is called one."""
    return (name for name, _ in nodes(file, "service") if not name.endswith("Service"))


def unsigned(file: FileDescriptorProto) -> Iterable[str]:
    """Integers are signed: not every language has the others."""
    return (name for name, field in nodes(file, "field") if field.type in UNSIGNED)


def misnamed_field(file: FileDescriptorProto) -> Iterable[str]:
    """Fields are lower_snake_case, and counts end in `_count`."""
    for name, field in nodes(file, "field"):
        is_snake = re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", field.name)
        if not is_snake or re.search(r"(^|_)(num|nr|n)_", field.name) or field.name.endswith("_counts"):
            yield name


def bare_span(file: FileDescriptorProto) -> Iterable[str]:
    """A span of time is a Duration, whose unit cannot be mistaken."""
    for name, field in nodes(file, "field"):
        if SPAN.search(field.name) and field.type_name != ".google.protobuf.Duration":
            yield name


Rule = Callable[[FileDescriptorProto], Iterable[str]]
NAMING_RULES: list[Rule] = [
    misplaced,
    misnamed_value,
    implicit_threshold,
    shared_message,
    misnamed_service,
    unsigned,
    misnamed_field,
    bare_span,
]
FAULTS: list[tuple[Rule, str]] = [
    (uncommented, "message M {}"),
    (uncommented, "// M.\nmessage M {\n  int32 a = 1;\n}"),
    (uncommented, "// M.\nmessage M {\n  oneof o {\n    // A.\n    int32 a = 1;\n  }\n}"),
    (uncommented, "// M.\nmessage M {\n  // N.\n  message N {\n    int32 a = 1;\n  }\n}"),
    (uncommented, "// E.\nenum E {\n  E_UNSPECIFIED = 0;\n}"),
    (uncommented, "// AService.\nservice AService {\n  rpc R(RRequest) returns (RResponse);\n}"),
    (misplaced, "package retinue.elsewhere.v1;"),
    (misnamed_value, "enum AnEnum {\n  UNSPECIFIED = 0;\n}"),
    (misnamed_value, "enum AnEnum {\n  AN_ENUM_NONE = 0;\n}"),
    (misnamed_value, "message M {\n  enum AnEnum {\n    AN_ENUM_UNSPECIFIED = 0;\n    ONE = 1;\n  }\n}"),
    (implicit_threshold, "message M {\n  float score_threshold = 1;\n}"),
    (shared_message, "service AService {\n  rpc R(RRequest) returns (RRequest);\n}"),
    (misnamed_service, "service Server {}"),
    (unsigned, "message M {\n  uint32 count = 1;\n}"),
    (misnamed_field, "message M {\n  int32 boxCount = 1;\n}"),
    (misnamed_field, "message M {\n  int32 num_boxes = 1;\n}"),
    (bare_span, "message M {\n  float queue_ms = 1;\n}"),
    (bare_span, "message M {\n  int64 timeout = 1;\n}"),
]


@pytest.fixture(scope="session")
def protos(tmp_path_factory: pytest.TempPathFactory) -> list[FileDescriptorProto]:
    """Return the descriptors of all our protos."""
    return described(PROTOS, tmp_path_factory.mktemp("protos") / "protos.pb")


def test_every_element_has_a_comment(protos: list[FileDescriptorProto]) -> None:
    assert [problem for file in protos for problem in uncommented(file)] == []


@pytest.mark.parametrize("rule", NAMING_RULES)
def test_typed_contract_keeps_the_rule(rule: Rule, protos: list[FileDescriptorProto]) -> None:
    ours = [file for file in protos if file.package != OIP]
    assert len(ours) == len(list((PROTOS / "retinue").rglob("v*/*.proto")))
    assert [problem for file in ours for problem in rule(file)] == [], rule.__doc__


@pytest.mark.parametrize(("rule", "fault"), FAULTS)
def test_planted_fault_is_found(rule: Rule, fault: str, tmp_path: Path) -> None:
    folder = tmp_path / "retinue" / "planted" / "v1"
    folder.mkdir(parents=True)
    package = "" if fault.startswith("package") else "package retinue.planted.v1;\n"
    messages = "// Request.\nmessage RRequest {}\n// Response.\nmessage RResponse {}\n"
    (folder / "planted.proto").write_text(f'// Planted.\nsyntax = "proto3";\n{package}{fault}\n{messages}')
    (file,) = described(tmp_path, tmp_path / "planted.pb")
    assert len(list(rule(file))) == 1, rule.__doc__
