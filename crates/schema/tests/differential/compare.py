"""Compares the walks with other implementations, over mutated payloads: tests/differential/run.sh.

Protobuf is compared with upb, the C implementation in PyPI's protobuf, JSON with json_format of
that package, and MessagePack with PyPI's msgpack and a model of the mapping (model.py). The
unchanged payloads are written by these implementations, and must pass. A mutated payload must be
rejected if they cannot read it, and must pass if they can. The exceptions are the policies that
docs/schemas.md documents (policies.py): a payload that they read may be rejected if each violation
belongs to one.
"""

import collections
import importlib
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

import msgpack
import model
import policies
from google.protobuf import json_format
from google.protobuf.internal import api_implementation
from grpc_tools import protoc

HERE = pathlib.Path(__file__).parent
RIGHT, WRONG = range(2)
FILES = ["two", "three", "editions", "sets", "short"]


def compiled():
    """Returns the compiled modules of FILES, in the same order."""
    directory = tempfile.mkdtemp()
    include = pathlib.Path(protoc.__file__).parent / "_proto"
    names = [f"{name}.proto" for name in FILES]
    arguments = ["protoc", f"-I{HERE}", f"-I{include}", f"--python_out={directory}", *names]
    assert protoc.main(arguments) == 0
    sys.path.append(directory)
    return [importlib.import_module(f"{name}_pb2") for name in FILES]


# Random messages by their descriptors.

NUMBERS = {
    "int32": [0, 1, -1, 127, 128, 2**31 - 1, -(2**31)],
    "int64": [0, 1, -1, 2**63 - 1, -(2**63)],
    "uint32": [0, 1, 300, 2**32 - 1],
    "uint64": [0, 1, 300, 2**64 - 1],
}
TYPES = {
    1: [0.0, -1.5, 1e300, float("inf"), float("nan")],
    2: [0.0, -1.5, 1e-30, float("-inf")],
    3: NUMBERS["int64"], 18: NUMBERS["int64"], 16: NUMBERS["int64"],
    4: NUMBERS["uint64"], 6: NUMBERS["uint64"],
    5: NUMBERS["int32"], 17: NUMBERS["int32"], 15: NUMBERS["int32"],
    13: NUMBERS["uint32"], 7: NUMBERS["uint32"],
    8: [False, True],
    9: ["", "x", "zażółć 🦀", "a\"\\\n\x01", "seven77", "eight888", "longer than fifteen bytes", "ż" * 9, "x" * 70, "日本" * 40],
    12: [b"", b"\x00\xff", b"abc", bytes(range(40))],
}  # fmt: skip


def a_value(chooser, field, depth):
    if field.message_type:
        inner = field.message_type._concrete_class()
        fill(chooser, inner, depth + 1)
        return inner
    if field.enum_type:
        return chooser.choice(field.enum_type.values).number
    return chooser.choice(TYPES[field.type])


def fill(chooser, message, depth=0):
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Timestamp":
        message.seconds, message.nanos = chooser.choice([0, 1, 253402300799, -62135596800]), chooser.choice([0, 5, 999999999])
    elif name == "google.protobuf.Duration":
        message.seconds = chooser.choice([0, 1, 315575999999])
        message.nanos = chooser.choice([0, 1000, 999999999])
    elif name == "google.protobuf.FieldMask":
        message.paths.extend(chooser.sample(["a", "b_c.d", "long_name"], chooser.randrange(3)))
    elif name == "google.protobuf.Struct":
        message.update({"a": 1.5, "b": [None, "x", {"c": True}]} if chooser.random() < 0.7 else {})
    elif name == "google.protobuf.ListValue":
        message.extend([1, "x", None, [True]] if chooser.random() < 0.7 else [])
    elif name == "google.protobuf.Value":
        kind = chooser.randrange(4)
        if kind == 0:
            message.null_value = 0
        elif kind == 1:
            message.number_value = 2.5
        elif kind == 2:
            message.string_value = "x"
        else:
            message.struct_value.update({"k": [1]})
    elif name == "google.protobuf.Any":
        from google.protobuf import duration_pb2

        if chooser.random() < 0.5:
            message.Pack(duration_pb2.Duration(seconds=1))
        elif chooser.random() < 0.5:
            inner = ROOTS["two.All"]() if chooser.random() < 0.5 else ROOTS["three.All"]()
            inner.one_int32, inner.one_string = 5, "x"
            message.Pack(inner)
    else:
        fields = list(message.DESCRIPTOR.fields)
        fields += message.DESCRIPTOR.file.pool.FindAllExtensions(message.DESCRIPTOR)
        most = 14 if depth == 0 else 3
        chosen = chooser.sample(fields, min(len(fields), chooser.randrange(most)))
        chosen += [field for field in fields if field.is_required and field not in chosen]
        for field in chosen:
            if depth > 3 and field.message_type:
                continue
            set_field(chooser, message, field, depth)


def set_field(chooser, message, field, depth):
    held = message.Extensions[field] if field.is_extension else getattr(message, field.name)
    entry = field.message_type
    if entry and entry.GetOptions().map_entry:
        key, value = entry.fields
        for _ in range(chooser.randrange(1, 4)):
            k = a_value(chooser, key, depth)
            if value.message_type:
                fill(chooser, held[k], depth + 1)
            else:
                held[k] = a_value(chooser, value, depth)
    elif field.is_repeated:
        # Some lists have more than 15 elements, the maximum of a short array in MessagePack, or
        # more than 127 bytes, the maximum of a length of one byte in protobuf.
        long = not field.message_type and chooser.random() < 0.1
        held.extend(a_value(chooser, field, depth) for _ in range(chooser.randrange(1, 90 if long else 5)))
    elif field.message_type:
        held.SetInParent()
        held.MergeFrom(a_value(chooser, field, depth))
    elif field.is_extension:
        message.Extensions[field] = a_value(chooser, field, depth)
    else:
        setattr(message, field.name, a_value(chooser, field, depth))


# The other implementations' verdicts.


def upb(kind):
    def reads(payload):
        try:
            return kind.FromString(payload).IsInitialized()
        except Exception as error:
            assert type(error).__name__ == "DecodeError", error
            return False

    return reads


def read_json(kind):
    def reads(payload):
        try:
            message = json_format.Parse(payload.decode("utf-8", "strict"), kind(), ignore_unknown_fields=True)
            return message.IsInitialized()
        except (json_format.ParseError, UnicodeDecodeError):
            return False
        except Exception:  # json_format also raises other exceptions for payloads that it cannot read
            return False

    return reads


def as_python(message, numbers, style="map"):
    """Returns a message as a value for MessagePack, in which bytes are not encoded as text.

    With `numbers`, enum values are numbers and fields have their names in the file. Otherwise, enum
    values are names and fields have their JSON names. The style is "map" for a map in the order of
    field numbers, "shuffled" for a map in another order, or "array" for an array in the order of
    declaration.
    """
    known = {"Timestamp", "Duration", "FieldMask", "Any"}
    full = message.DESCRIPTOR.full_name
    if full.startswith("google.protobuf.") and full.split(".")[-1] not in known:
        return json_format.MessageToDict(message) if full.split(".")[-1] in ("Struct", "Value", "ListValue") else message.value
    result = {}
    for field, value in message.ListFields():
        name = f"[{field.full_name}]" if field.is_extension else field.name if numbers else field.json_name

        def one(value, field=field):
            if field.message_type:
                return as_python(value, numbers, style)
            if field.enum_type and not numbers:
                return field.enum_type.values_by_number[value].name
            return value

        entry = field.message_type
        if entry and entry.GetOptions().map_entry:
            inner = entry.fields_by_name["value"]
            result[name] = {key: one(item, inner) for key, item in value.items()}
        elif field.is_repeated:
            result[name] = [one(item) for item in value]
        else:
            result[name] = one(value)
    if full.startswith("google.protobuf."):
        return result
    if style == "array" and not any(field.is_extension for field, _ in message.ListFields()):
        names = [field.name if numbers else field.json_name for field in message.DESCRIPTOR.fields]
        last = max((place for place, name in enumerate(names) if name in result), default=-1)
        return [result.get(name) for name in names[: last + 1]]
    if style == "shuffled":
        # Ordered by a hash, so that runs with the same seed are equal.
        result = dict(sorted(result.items(), key=lambda item: zlib.crc32(item[0].encode())))
    return result


# The run.


def records(stream):
    """Yields the records that verdicts.rs prints, as (schema, verdict, payload, violations)."""
    head = struct.Struct("<BBI")
    buffer, at = b"", 0
    while True:
        chunk = stream.read1(1 << 20)
        buffer, at = buffer[at:] + chunk, 0
        while len(buffer) - at >= head.size:
            schema, verdict, length = head.unpack_from(buffer, at)
            end = at + head.size + length
            text = 0
            if verdict == WRONG:
                if len(buffer) < end + 4:
                    break
                (text,) = struct.unpack_from("<I", buffer, end)
                text += 4
            if len(buffer) < end + text:
                break
            yield schema, verdict, buffer[at + head.size : end], buffer[end + 4 : end + text]
            at = end + text
        if not chunk:
            assert at == len(buffer), "cut off"
            return


def run(binary, count, seed, schemas, seeds):
    command = [binary, str(count), str(seed), str(HERE), *schemas]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def feed():
        for schema, payload in seeds:
            process.stdin.write(struct.pack("<BI", schema, len(payload)) + payload)
        process.stdin.close()

    threading.Thread(target=feed).start()
    yield from records(process.stdout)
    assert process.wait() == 0


class Tally:
    """Counts comparisons, and collects the differences that they find."""

    def __init__(self, what, seeds):
        self.what, self.seeds = what, seeds
        self.counts, self.differences, self.seen = collections.Counter(), [], 0
        self.policies = collections.Counter()
        self.started = time.monotonic()

    def add(self, theirs, verdict, payload, text, policy=None):
        self.seen += 1
        if self.seen <= self.seeds and verdict != RIGHT:
            self.differences.append(("what they wrote is refused", payload, text))
        if theirs is None:
            self.policies["a timestamp that msgpack itself rejects: not compared"] += 1
            return
        ours = verdict == RIGHT
        self.counts[("read" if theirs else "unread"), ("passes", "refused")[verdict]] += 1
        if ours != theirs:
            named = policies.named(payload, text, policy) if policy and theirs else None
            if named:
                self.policies[named] += 1
            else:
                self.differences.append(("they read it" if theirs else "they can't read it", payload, text))

    def end(self):
        seconds = time.monotonic() - self.started
        print(f"{self.what}: {self.seen - self.seeds:,} mutations of {self.seeds:,} payloads in {seconds:.0f} s")
        for (theirs, ours), number in sorted(self.counts.items()):
            print(f"  they: {theirs:7} we: {ours:8} {number:12,}")
        for policy, number in self.policies.most_common():
            print(f"  policy: {policy}: {number:,}")
        for why, payload, text in self.differences[:20]:
            print(f"  DIFFERENCE: {why}: {payload!r}: {text.decode()!r}")
        print(f"  {len(self.differences)} differences", flush=True)
        # A run in which the other implementation reads all payloads, or none, tests nothing.
        kinds = {theirs for theirs, _ in self.counts}
        return not self.differences and kinds == {"read", "unread"}


def messages(chooser, number, roots):
    for n in range(number):
        which = n % len(roots)
        message = ROOTS[roots[which]]()
        fill(chooser, message)
        yield which, message


def descriptor(root):
    return ROOTS[root].DESCRIPTOR


def protobuf(binary, count, seed):
    chooser = random.Random(seed)
    roots = ["two.All", "three.All", "two.Required", "ed.All", "sets.All", "short.All"]
    seeds = [(which, message.SerializeToString()) for which, message in messages(chooser, 2000, roots)]
    readers = [(upb(ROOTS[root]), policies.of_protobuf(descriptor(root))) for root in roots]
    tally = Tally("protobuf, against upb", len(seeds))
    for which, verdict, payload, text in run(binary, count, seed, [f"protobuf:{root}" for root in roots], seeds):
        reads, policy = readers[which]
        tally.add(reads(payload), verdict, payload, text, policy)
    return tally.end()


def json_text(chooser, message):
    """Returns the message as json_format writes it, with random options."""
    return json_format.MessageToJson(
        message,
        preserving_proto_field_name=chooser.random() < 0.5,
        use_integers_for_enums=chooser.random() < 0.5,
        always_print_fields_with_no_presence=chooser.random() < 0.1,
        indent=chooser.choice([None, 2]),
        ensure_ascii=chooser.random() < 0.5,
    ).encode()


def json_run(binary, count, seed):
    chooser = random.Random(seed)
    roots = ["two.All", "three.All", "two.Required", "ed.All", "short.All"]
    seeds = [(which, json_text(chooser, message)) for which, message in messages(chooser, 1600, roots)]
    readers = [read_json(ROOTS[root]) for root in roots]
    tally = Tally("JSON, against json_format", len(seeds))
    for which, verdict, payload, text in run(binary, count, seed, [f"json:{root}" for root in roots], seeds):
        tally.add(readers[which](payload), verdict, payload, text, policies.of_json)
    return tally.end()


def msgpack_run(binary, count, seed):
    chooser = random.Random(seed)
    roots = ["two.All", "three.All", "two.Required", "ed.All", "short.All"]
    seeds = []
    for which, message in messages(chooser, 1600, roots):
        style = chooser.choice(["map", "shuffled", "array"])
        value = as_python(message, chooser.random() < 0.5, style)
        single = chooser.random() < 0.3
        try:
            payload = msgpack.packb(value, use_single_float=single)
        except OverflowError:  # a double beyond a float's range
            payload = msgpack.packb(value)
        seeds.append((which, payload))
    tally = Tally("MessagePack, against msgpack and the model", len(seeds))
    for which, verdict, payload, text in run(binary, count, seed, [f"msgpack:{root}" for root in roots], seeds):
        tally.add(model.judge(payload, descriptor(roots[which])), verdict, payload, text)
    return tally.end()


RUNS = {"protobuf": protobuf, "json": json_run, "msgpack": msgpack_run}

if __name__ == "__main__":
    implementation = api_implementation.Type()
    assert implementation == "upb", f"protobuf is {implementation}, not upb"
    two, three, editions, sets, short = compiled()
    kinds = [two.All, two.Required, three.All, editions.All, sets.All, short.All]
    ROOTS = {kind.DESCRIPTOR.full_name: kind for kind in kinds}
    binary, seed, *wanted = sys.argv[1:]
    verdicts = [RUNS[name](binary, int(count), int(seed)) for name, count in (it.split("=") for it in wanted)]
    sys.exit(0 if all(verdicts) else 1)
