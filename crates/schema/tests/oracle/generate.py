"""Random payloads near the bounds of rules: generate.py WORK SEED COUNT [CASES]

Compiles protos/ to modules in WORK/python, and also the files in buf/validate/conformance/cases
below the directory CASES, if CASES is given. Lists the import paths, the modules and the messages
in WORK/messages.json. Prints a line of JSON for each payload: its message (m), its encoding (e),
and the payload in hexadecimal (p). The first payloads are those of examples.jsonl, in protobuf.
About COUNT random messages follow, each in protobuf, JSON and MessagePack, or in protobuf alone if
another encoding cannot represent the message.
"""

import datetime
import importlib
import json
import pathlib
import random
import re
import shutil
import sys

import msgpack
from google.protobuf import json_format
from grpc_tools import protoc

HERE = pathlib.Path(__file__).parent
WELL_KNOWN = HERE.parents[2] / "proto" / "src" / "well_known"
CASES = "buf/validate/conformance/cases"

# The number of payloads of each message in protos/ for one payload of each message in CASES. The
# messages in protos/ have many more rules.
OWN = 10

NUMBERS = {
    "int32": [0, 1, -1, 2**31 - 1, -(2**31)],
    "int64": [0, 1, -1, 2**63 - 1, -(2**63)],
    "uint32": [0, 1, 2**32 - 1],
    "uint64": [0, 1, 2**64 - 1],
}
KINDS = {3: "int64", 18: "int64", 16: "int64", 4: "uint64", 6: "uint64", 5: "int32", 17: "int32", 15: "int32", 13: "uint32", 7: "uint32"}
TEXTS = [
    "", "a", "ab", "abc", "żółw", "🦀", "x" * 40, "ada@example.org", "a@b", "@", "a b@c", "example.org", "-a.b", "a..b", "127.0.0.1",
    "1.2.3.256", "01.2.3.4", "::1", "fe80::1%eth0", "::ffff:1.2.3.4", "1::2::3", "10.0.0.0/8", "10.0.0.1/8", "fe80::/10", "::/129",
    "https://example.org/a?b#c", "//a/b", "a:b", "http://[::1]:80/", "http://a b", "%zz", "./a", "urn:x:y", "example.org:80", "[::1]:80",
    "a:99999", "a:08", "550e8400-e29b-41d4-a716-446655440000", "550e8400e29b41d4a716446655440000", "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "a.b.C_1", ".a.b", "a..b", "X-Header", ":path", "a\tb", "a\x7f", "a\nb", "\x00",
]  # fmt: skip
PATHS = ["a", "a.b", "b", "c", "c.d", "ab"]


def compiled(work, cases):
    """Compiles the files, and returns the import paths and the names of the modules.

    The modules of the project's own files and of the other files are two lists.
    """
    roots, others = [HERE / "protos", WELL_KNOWN], []
    if cases:
        # The import path has the cases alone, without the other files of CASES.
        shutil.copytree(pathlib.Path(cases) / CASES, work / "cases" / CASES)
        roots.insert(1, work / "cases")
        others = sorted(str(path.relative_to(work / "cases")) for path in (work / "cases").rglob("*.proto"))
    files = sorted(path.name for path in (HERE / "protos").glob("*.proto"))
    include = pathlib.Path(protoc.__file__).parent / "_proto"
    out = work / "python"
    out.mkdir()
    arguments = ["protoc", *(f"-I{root}" for root in roots), f"-I{include}", f"--python_out={out}"]
    assert protoc.main([*arguments, *files, *others, "buf/validate/validate.proto"]) == 0
    sys.path.insert(0, str(out))
    module = lambda name: name.removesuffix(".proto").replace("-", "_").replace("/", ".") + "_pb2"
    return [str(root) for root in roots], [module(name) for name in files], [module(name) for name in others]


def messages(module):
    open_ = list(importlib.import_module(module).DESCRIPTOR.message_types_by_name.values())
    while open_:
        descriptor = open_.pop(0)
        if not descriptor.GetOptions().map_entry:
            yield descriptor
        open_.extend(descriptor.nested_types)


class Mined:
    """The constants in the rules of a field, for payloads with these and similar values."""

    def __init__(self, field):
        self.numbers, self.texts, self.bytes, self.spans = [], [], [], []
        self.options(field)

    def options(self, field):
        from buf.validate import validate_pb2

        self.message(field.GetOptions().Extensions[validate_pb2.field])
        for rule in field.containing_type.GetOptions().Extensions[validate_pb2.message].cel:
            self.text(rule.expression)
        for expression in field.containing_type.GetOptions().Extensions[validate_pb2.message].cel_expression:
            self.text(expression)

    def text(self, text):
        for quoted in re.findall(r"'([^']*)'", text):
            self.texts.append(quoted)
        for number in re.findall(r"-?\d+(?:\.\d+)?", text):
            self.numbers.append(float(number) if "." in number else int(number))

    def message(self, rules):
        name = rules.DESCRIPTOR.full_name
        if name in ("google.protobuf.Duration", "google.protobuf.Timestamp"):
            self.spans.append((rules.seconds, rules.nanos))
            return
        for field, value in rules.ListFields():
            if field.message_type and field.message_type.GetOptions().map_entry:
                continue
            for one in value if field.is_repeated else [value]:
                if field.message_type:
                    self.message(one)
                elif field.enum_type or isinstance(one, bool):
                    continue
                elif isinstance(one, str):
                    self.texts.append(one)
                    self.text(one)
                elif isinstance(one, bytes):
                    self.bytes.append(one)
                else:
                    self.numbers.append(one)


class Writer:
    def __init__(self, chooser):
        self.chooser, self.mined = chooser, {}

    def of(self, field):
        key = field.full_name
        if key not in self.mined:
            self.mined[key] = Mined(field)
        return self.mined[key]

    def text(self, mined):
        chooser = self.chooser
        kind = chooser.random()
        if mined.texts and kind < 0.4:
            text = chooser.choice(mined.texts)
            return chooser.choice([text, text, text + "x", "x" + text, text[1:], text[:-1], text + chooser.choice(mined.texts)])
        lengths = [n for n in mined.numbers if isinstance(n, int) and 0 <= n < 300]
        if lengths and kind < 0.7:
            length = max(0, chooser.choice(lengths) + chooser.choice([-1, 0, 0, 1]))
            return chooser.choice(["x", "ż", "🦀", "a1"]) * length
        return chooser.choice(TEXTS)

    def scalar(self, field, mined):
        chooser, kind = self.chooser, field.type
        if kind in KINDS:
            low, high = min(NUMBERS[KINDS[kind]]), max(NUMBERS[KINDS[kind]])
            near = [int(n) + d for n in mined.numbers for d in (-1, 0, 1) if abs(n) < 2**64]
            values = [n for n in near if low <= n <= high]
            return chooser.choice(values if values and chooser.random() < 0.8 else NUMBERS[KINDS[kind]])
        if kind in (1, 2):
            near = [float(n) + d for n in mined.numbers for d in (-0.5, 0, 0.5)]
            wide = [0.0, -0.0, 1.5, -1.5, 1e30, float("inf"), float("-inf"), float("nan")]
            value = chooser.choice(near if near and chooser.random() < 0.7 else wide)
            return value if kind == 1 or abs(value) < 3e38 else chooser.choice(wide)
        if kind == 8:
            return chooser.random() < 0.5
        if kind == 9:
            return self.text(mined)
        if kind == 12:
            if mined.bytes and chooser.random() < 0.6:
                value = chooser.choice(mined.bytes)
                return chooser.choice([value, value + b"x", b"x" + value, value[1:], value + chooser.choice(mined.bytes)])
            if chooser.random() < 0.3:
                return bytes(chooser.choice([0, 1, 4, 15, 16, 17]))
            return self.text(mined).encode()
        if field.enum_type:
            numbers = [value.number for value in field.enum_type.values]
            if not field.enum_type.is_closed:
                numbers += [7, 2**31 - 1]
            return chooser.choice(numbers)
        raise AssertionError(field.full_name)

    def moment(self, message, mined):
        chooser = self.chooser
        now = int(datetime.datetime.now().timestamp())
        seconds = [0, 1, -1, now - 86400 * 400, now + 86400 * 400, now, 253402300799, -62135596800]
        if message.DESCRIPTOR.name == "Duration":
            seconds = [0, 1, 5, 10, 3600, 315576000000]
        if mined.spans and chooser.random() < 0.8:
            at, nanos = chooser.choice(mined.spans)
            at, nanos = at + chooser.choice([-1, 0, 0, 1]), nanos + chooser.choice([-1, 0, 0, 1])
        else:
            at, nanos = chooser.choice(seconds), chooser.choice([0, 0, 5, 999_999_999])
        total = at * 10**9 + nanos
        if message.DESCRIPTOR.name == "Duration":
            sign = -1 if total < 0 else 1
            message.seconds, message.nanos = sign * (abs(total) // 10**9), sign * (abs(total) % 10**9)
        else:
            message.seconds, message.nanos = divmod(total, 10**9)

    def any(self, message, mined):
        from google.protobuf import duration_pb2, wrappers_pb2

        chooser = self.chooser
        message.Pack(chooser.choice([duration_pb2.Duration(seconds=3), wrappers_pb2.Int32Value(value=4)]))
        if mined.texts and chooser.random() < 0.6:
            message.type_url = chooser.choice(mined.texts)

    def message(self, message, mined, depth):
        chooser, name = self.chooser, message.DESCRIPTOR.full_name
        if name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
            self.moment(message, mined)
        elif name == "google.protobuf.FieldMask":
            message.paths.extend(chooser.sample([*PATHS, *(text for text in mined.texts if text.isidentifier())], chooser.randrange(3)))
        elif name == "google.protobuf.Any":
            self.any(message, mined)
        elif name == "google.protobuf.Struct":
            message.update({"a": 1.5, "b": [None, "x", {"c": True}]} if chooser.random() < 0.7 else {"c": "a"})
        elif name == "google.protobuf.ListValue":
            message.extend([1, "x", None, [True]] if chooser.random() < 0.7 else [])
        elif name == "google.protobuf.Value":
            message.MergeFrom(json_format.ParseDict(chooser.choice([None, 2.5, "x", {"k": [1]}, [1]]), type(message)()))
        elif name.startswith("google.protobuf.") and name.endswith("Value"):
            message.value = self.scalar(message.DESCRIPTOR.fields[0], mined)
        else:
            self.fill(message, depth)

    def fill(self, message, depth=0):
        chooser = self.chooser
        fields = list(message.DESCRIPTOR.fields)
        fields += message.DESCRIPTOR.file.pool.FindAllExtensions(message.DESCRIPTOR)
        share = chooser.choice([0.2, 0.6, 0.95]) if depth < 2 else 0.15
        for field in fields:
            if field.message_type and depth > 3:
                continue
            if field.is_required or chooser.random() < share:
                self.set(message, field, depth)

    def set(self, message, field, depth):
        chooser = self.chooser
        mined = self.of(field)
        held = message.Extensions[field] if field.is_extension else getattr(message, field.name)
        entry = field.message_type
        if entry and entry.GetOptions().map_entry:
            key, value = entry.fields
            for _ in range(chooser.randrange(4)):
                of_key = self.scalar(key, mined)
                if value.message_type:
                    self.message(held[of_key], mined, depth + 1)
                else:
                    held[of_key] = self.scalar(value, mined)
        elif field.is_repeated:
            for _ in range(chooser.randrange(5)):
                if entry:
                    self.message(held.add(), mined, depth + 1)
                else:
                    twice = len(held) and chooser.random() < 0.2
                    held.append(chooser.choice(list(held)) if twice else self.scalar(field, mined))
        elif entry:
            held.SetInParent()
            self.message(held, mined, depth + 1)
        elif field.is_extension:
            message.Extensions[field] = self.scalar(field, mined)
        else:
            setattr(message, field.name, self.scalar(field, mined))


def as_python(message):
    """Returns a message as a value for MessagePack: a map keyed by the names of the fields."""
    name = message.DESCRIPTOR.full_name
    if name in ("google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"):
        return json_format.MessageToDict(message)
    if name.startswith("google.protobuf.") and name.endswith("Value"):
        return message.value
    result = {}
    for field, value in message.ListFields():
        one = as_python if field.message_type else lambda value: value
        key = f"[{field.full_name}]" if field.is_extension else field.name
        if field.message_type and field.message_type.GetOptions().map_entry:
            inner = as_python if field.message_type.fields_by_name["value"].message_type else lambda value: value
            result[key] = {of: inner(item) for of, item in value.items()}
        else:
            result[key] = [one(item) for item in value] if field.is_repeated else one(value)
    return result


def forms(message):
    """Yields the encodings of a message, each with the payload."""
    yield "protobuf", message.SerializeToString()
    try:
        others = json_format.MessageToJson(message, indent=None).encode(), msgpack.packb(as_python(message))
    except Exception:  # such as an Any of an unknown type, which only protobuf can represent
        return
    yield "json", others[0]
    yield "msgpack", others[1]


def main():
    work, seed, wanted, *cases = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]
    roots, own, others = compiled(work, cases[0] if cases else None)
    writer, names = Writer(random.Random(seed)), []
    from google.protobuf import message_factory

    found = [(descriptor, share) for modules, share in ((own, OWN), (others, 1)) for module in modules for descriptor in messages(module)]
    shares = sum(share for _, share in found)
    places = {descriptor.full_name: place for place, (descriptor, _) in enumerate(found)}
    for text in (HERE / "examples.jsonl").read_text().splitlines():
        example = json.loads(text)
        print(json.dumps({"m": places[example["message"]], "e": "protobuf", "p": example["payload"]}))
    for place, (descriptor, share) in enumerate(found):
        kind = message_factory.GetMessageClass(descriptor)
        names.append(descriptor.full_name)
        for _ in range(-(-wanted * share // shares)):
            message = kind()
            writer.fill(message)
            for encoding, payload in forms(message):
                print(json.dumps({"m": place, "e": encoding, "p": payload.hex()}))
    (work / "messages.json").write_text(json.dumps({"roots": roots, "modules": [*own, *others], "messages": names}))


if __name__ == "__main__":
    main()
