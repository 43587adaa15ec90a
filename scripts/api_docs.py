"""Writes docs/api.md: the services, messages and enums of proto/, with their comments and settings."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from defuse import messages
from defuse.settings import default_text, range_text, setting_of
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

PROTO = Path("proto")
Field = descriptor_pb2.FieldDescriptorProto


def load() -> descriptor_pb2.FileDescriptorSet:
    """Compile proto/ with its comments."""
    sources = [str(path) for path in sorted(PROTO.glob("defuse/v1/*.proto"))]
    well_known = files("grpc_tools") / "_proto"
    with tempfile.NamedTemporaryFile(suffix=".pb") as out:
        options = ["--include_source_info", f"--descriptor_set_out={out.name}"]
        if protoc.main(["protoc", f"-I{PROTO}", f"-I{well_known}", *options, *sources]) != 0:
            sys.exit("protoc refused proto/")
        return descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes())


def type_of(field: Field) -> str:
    """Say a field's type as it stands in the .proto file."""
    name = field.type_name.removeprefix(".").removeprefix("defuse.v1.")
    name = name or Field.Type.Name(field.type).removeprefix("TYPE_").lower()
    return f"repeated {name}" if field.label == Field.LABEL_REPEATED else name


def settings_of(message: str, name: str) -> tuple[str, str, str]:
    """Say default, range and help of a config's field."""
    field = getattr(messages, message).DESCRIPTOR.fields_by_name[name]
    setting = setting_of(field)
    return default_text(field), range_text(setting), setting.help


def render(file: descriptor_pb2.FileDescriptorProto) -> Iterator[str]:
    """Yield the lines of one file: services first, then messages, then enums."""
    comments = {
        tuple(location.path): " ".join(location.leading_comments.split())
        for location in file.source_code_info.location
    }
    # The numbers of a path are those of descriptor.proto's fields: 6 service, 4 message, 5 enum, 2 member.
    for i, service in enumerate(file.service):
        yield f"## {service.name}\n\n{comments.get((6, i), '')}\n\n| method | |\n|---|---|"
        for j, method in enumerate(service.method):
            yield f"| `{method.name}` | {comments.get((6, i, 2, j), '')} |"
        yield ""
    for i, message in enumerate(file.message_type):
        if not message.field:
            continue
        settings = any(field.options.ListFields() for field in message.field)
        head = "| field | type | default | values | |\n|---|---|---|---|---|"
        head = head if settings else "| field | type | |\n|---|---|---|"
        yield f"### {message.name}\n\n{comments.get((4, i), '')}\n\n{head}"
        for j, field in enumerate(message.field):
            cells = [f"`{field.name}`", type_of(field), comments.get((4, i, 2, j), "")]
            if settings:
                default, values, help_text = settings_of(message.name, field.name)
                cells[2:] = [default, values, f"{help_text} {cells[2]}".strip()]
            yield f"| {' | '.join(cells)} |"
        yield ""
    for i, enum in enumerate(file.enum_type):
        yield f"### {enum.name}\n\n{comments.get((5, i), '')}\n\n| value | |\n|---|---|"
        for j, value in enumerate(enum.value):
            yield f"| `{value.name}` | {comments.get((5, i, 2, j), '')} |"
        yield ""


def main(target: Path) -> None:
    """Write the page."""
    lines = ["# The API, `defuse.v1`", "", "Written by `make docs` from proto/.", ""]
    for file in load().file:
        if file.package == "defuse.v1":
            lines.extend(render(file))
    target.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
