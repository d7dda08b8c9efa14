"""Runs protoc for many directories in one process, because a process for each would take minutes.

Reads directories from standard input, one a line, and writes a line of JSON for each. The JSON says
whether protoc accepts all .proto files below the directory, and what protoc reports. If
`<directory>.ours` holds the FileDescriptorSet of another compiler, the JSON also has the
differences between the descriptors. Options are compared by their meaning, not by their bytes.
"""

import json
import os
import sys
import tempfile

import grpc_tools
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet
from grpc_tools import _protoc_compiler

# The wire type of the first tag of a group.
GROUP_WIRE_TYPE = 3

WELL_KNOWN = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")


def compiled(directory):
    names = []
    for parent, _, files in os.walk(directory):
        names += [os.path.relpath(os.path.join(parent, f), directory) for f in files if f.endswith(".proto")]
    out, ours = f"{directory}.set", f"{directory}.ours"
    arguments = ["protoc", f"-I{directory}", f"-I{WELL_KNOWN}", f"--descriptor_set_out={out}"]
    arguments += ["--include_imports", "--retain_options", *sorted(names)]
    with tempfile.TemporaryFile() as report:
        sys.stderr.flush()
        own = os.dup(2)
        os.dup2(report.fileno(), 2)
        try:
            status = _protoc_compiler.run_main([a.encode() for a in arguments])
        finally:
            os.dup2(own, 2)
            os.close(own)
        report.seek(0)
        text = report.read().decode(errors="replace").replace(directory + "/", "")
    same = status != 0 or not os.path.exists(ours)
    return {"ok": status == 0, "report": text, "different": [] if same else different(out, ours)}


def read(path):
    with open(path, "rb") as file:
        return descriptor_pb2.FileDescriptorSet.FromString(file.read())


def different(theirs, ours):
    """Returns the differences of the two sets, as texts."""
    theirs = {file.name: file for file in read(theirs).file}
    ours = {file.name: file for file in read(ours).file}
    if theirs.keys() != ours.keys():
        return [f"files: {sorted(theirs.keys() ^ ours.keys())}"]
    # With every extension known, options are messages and not bytes.
    pool = descriptor_pool.DescriptorPool()
    if "google/protobuf/descriptor.proto" not in theirs:
        pool.AddSerializedFile(descriptor_pb2.DESCRIPTOR.serialized_pb)
    for file in theirs.values():
        try:
            pool.AddSerializedFile(file.SerializeToString())
        except TypeError:
            # upb refuses legacy JSON names, and the names of some maps' entries, such as 1Entry of
            # a map _1. The extensions that such a file defines stay unknown fields.
            pass
    model = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FileDescriptorProto"))
    return [text for name in theirs for text in file_differences(model, theirs[name], ours[name])]


def file_differences(model, theirs, ours):
    pair = [model.FromString(file.SerializeToString()) for file in (theirs, ours)]
    for file in pair:
        file.ClearField("source_code_info")
        if file.syntax == "proto2":
            file.ClearField("syntax")  # protoc omits this value
    if len({file.SerializeToString(deterministic=True) for file in pair}) == 1:
        return []
    unknown = [taken_unknown_fields(file) for file in pair]
    if unknown[0] == unknown[1] and len({file.SerializeToString(deterministic=True) for file in pair}) == 1:
        return []
    theirs, ours = (str(file).splitlines() + [str(one) for one in of] for file, of in zip(pair, unknown))
    lines = [f"- {line}" for line in theirs if line not in ours] + [f"+ {line}" for line in ours if line not in theirs]
    return ["\n".join([pair[0].name, *lines[:20]])]


def taken_unknown_fields(file):
    """Removes the unknown fields from a FileDescriptorProto, and returns them by number.

    Also removes the options that are groups. The descriptors of rust-protobuf keep unknown fields
    in no order, and they cannot hold groups. Groups within the value of another option are kept.
    """
    taken = []
    take_unknown_fields(file, (), False, taken)
    file.DiscardUnknownFields()
    return taken


def take_unknown_fields(message, path, is_value, taken):
    unknown = unknown_values(UnknownFieldSet(message))
    kept = [(path, *one) for one in unknown if is_value or one[1] != GROUP_WIRE_TYPE]
    taken += sorted(kept, key=lambda one: one[1])
    for field, value in message.ListFields():
        if field.is_extension and field.type == field.TYPE_GROUP and not is_value:
            message.ClearExtension(field)
            continue
        for key, one in messages(field, value):
            take_unknown_fields(one, (*path, field.number, key), is_value or field.is_extension, taken)


def messages(field, value):
    """Returns the messages in the value of a field, each with its key or index."""
    if field.message_type is None:
        return []
    if not field.message_type.GetOptions().map_entry:
        return enumerate(value if field.is_repeated else [value])
    is_of_messages = field.message_type.fields_by_name["value"].message_type is not None
    return sorted(value.items(), key=lambda item: item[0]) if is_of_messages else []


def unknown_values(fields):
    """Returns number, wire type and value of each unknown field."""
    data = lambda one: unknown_values(one.data) if one.wire_type == GROUP_WIRE_TYPE else one.data
    return [(one.field_number, one.wire_type, data(one)) for one in fields]


for line in sys.stdin:
    print(json.dumps(compiled(line.rstrip("\n"))), flush=True)
