"""Runs protoc for many directories in one process, because a process for each would take minutes.

Reads directories from standard input, one a line, and writes a line of JSON for each. The JSON says whether protoc
accepts all .proto files below the directory, and what protoc reports. If `<directory>.ours` holds the
FileDescriptorSet of another compiler, the JSON also has the differences between the descriptors. Options are compared
by their meaning, not by their bytes.
"""

import json
import os
import sys
import tempfile

import grpc_tools
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import _protoc_compiler

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
            pass  # upb does not know legacy JSON names, so the file's own extensions stay bytes.
    model = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FileDescriptorProto"))
    return [text for name in theirs for text in file_differences(model, theirs[name], ours[name])]


def file_differences(model, theirs, ours):
    pair = [model.FromString(file.SerializeToString()) for file in (theirs, ours)]
    for file in pair:
        file.ClearField("source_code_info")
        if file.syntax == "proto2":
            file.ClearField("syntax")  # protoc leaves it out
    theirs, ours = (file.SerializeToString(deterministic=True) for file in pair)
    if theirs == ours:
        return []
    theirs, ours = (str(file).splitlines() for file in pair)
    lines = [f"- {line}" for line in theirs if line not in ours] + [f"+ {line}" for line in ours if line not in theirs]
    return ["\n".join([pair[0].name, *lines[:20]])]


for line in sys.stdin:
    print(json.dumps(compiled(line.rstrip("\n"))), flush=True)
