"""The policies of docs/schemas.md for payloads that the walks reject and other libraries read."""

import json
import re

WIRE_TYPES = {
    "a varint", "a 64-bit value", "a length-delimited value",
    "the start of a group", "the end of a group", "a 32-bit value",
}  # fmt: skip
# The maximum number of violations that are reported. A payload may have more.
VIOLATIONS_MAX = 16


def named(payload, text, policy):
    """Returns the policies of all violations, or None if a violation belongs to no policy."""
    violations = [line.split("\t") for line in text.decode().split("\n")]
    names = {policy(payload, *violation) for violation in violations}
    if None in names:
        return None
    return "; ".join(sorted(names)) if len(violations) < VIOLATIONS_MAX else "more violations than are reported, and each reported one belongs to a policy"


def of_protobuf(descriptor):
    def policy(payload, path, expected, found, offset):
        if found in WIRE_TYPES:
            return "a known field with a wrong wire type: a parser takes it for an unknown field"
        if (expected, found) == ("a field's tag", "field number 0"):
            return "field number 0 is invalid, also in an unknown group: upb doesn't check, C++ refuses"
        if expected == "a value, because it is required" and merges(payload, descriptor):
            return "each occurrence of a message is judged by itself: a parser merges them"
        if expected == "a value, because it is required" and strange_entries(payload, descriptor):
            return "a map's entry with an unknown field in it: upb drops the entry, C++ doesn't"
        if "[sets." in path and plain_items(payload, descriptor):
            return "an extension of a message set as a plain field: C++ checks its content, upb doesn't"
        return None

    return policy


def varint(payload, at):
    value = shift = 0
    while True:
        byte = payload[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def records(payload, at, end, group=0):
    """Yields the field number, the wire type, the start and the end of each value.

    The last item of a group has the field number 0 and the wire type 4, and is the end of the
    group.
    """
    while at < end:
        tag, at = varint(payload, at)
        number, wire = tag >> 3, tag & 7
        if wire == 4:
            yield 0, 4, at, at
            return
        start = at
        if wire == 0:
            _, at = varint(payload, at)
        elif wire == 1:
            at += 8
        elif wire == 5:
            at += 4
        elif wire == 2:
            length, start = varint(payload, at)
            at = start + length
        else:
            for *_, at in records(payload, at, end, number):
                pass
        yield number, wire, start, at


def merges(payload, descriptor, at=0, end=None):
    """Returns whether a singular message, a oneof's field or a map's key occurs twice anywhere."""
    seen = set()
    for number, wire, start, after in records(payload, at, len(payload) if end is None else end):
        field = descriptor.fields_by_number.get(number)
        is_message = field is not None and field.message_type and wire in (2, 3)
        one = None
        if field is not None and field.containing_oneof:
            # Members of any type count, because a later member replaces a message.
            one = field.containing_oneof.name
        elif is_message and field.message_type.GetOptions().map_entry:
            one = (number, key_of(payload, field.message_type.fields_by_number[1], start, after))
        elif is_message and not field.is_repeated:
            one = number
        if one is not None:
            if one in seen:
                return True
            seen.add(one)
        if not is_message:
            continue
        if merges(payload, field.message_type, start, after):
            return True
    return False


def key_of(payload, field, at, end):
    """Returns the key of a map's entry as parsers read it: the last key, truncated to its width."""
    key = b"" if field.type == 9 else 0
    for number, wire, start, after in records(payload, at, end):
        if number == 1 and wire == wire_type(field):
            key = payload[start:after]
            if wire == 0:
                bits = {8: 64, 5: 32, 13: 32, 17: 32}.get(field.type, 64)
                key = varint(payload, start)[0] % 2**bits
                key = bool(key) if field.type == 8 else key
            elif wire != 2:
                key = int.from_bytes(key, "little")
    return key


def wire_type(field):
    return {1: 1, 6: 1, 16: 1, 2: 5, 7: 5, 15: 5, 9: 2, 11: 2, 12: 2, 10: 3}.get(field.type, 0)


def strange_entries(payload, descriptor, at=0, end=None):
    """Returns whether an entry of a map holds anything but its key and its value."""
    is_entry = descriptor.GetOptions().map_entry
    for number, wire, start, after in records(payload, at, len(payload) if end is None else end):
        field = descriptor.fields_by_number.get(number)
        if is_entry and (field is None or wire != wire_type(field)):
            return True
        inner = field and field.message_type and wire == wire_type(field)
        if inner and strange_entries(payload, field.message_type, start, after):
            return True
    return False


def plain_items(payload, descriptor, at=0, end=None):
    """Returns whether there is a message set, which may hold extensions as plain fields."""
    is_set = descriptor.GetOptions().message_set_wire_format
    for number, wire, start, after in records(payload, at, len(payload) if end is None else end):
        if is_set and wire != 4 and number != 1:
            return True
        field = descriptor.fields_by_number.get(number)
        if field and field.message_type and wire in (2, 3) and plain_items(payload, field.message_type, start, after):
            return True
    # A set within an item may hold plain fields, and the content of items is not searched.
    return is_set


NUMBERS = r"(float|double|u?int(32|64)|s?fixed(32|64)|sint(32|64))"

# The violations for which the walk refuses payloads that json_format reads: the policy, and
# patterns of the expected and the found values.
OF_JSON = [
    ("base64 is strict: Python drops other characters", r"bytes in base64", r"the string "),
    ("strings hold numbers as JSON writes them: Python takes blanks, underscores, leading zeros, nan", NUMBERS, "the string "),
    ("strings hold numbers as JSON writes them: Python takes blanks, underscores, leading zeros, nan", ".* as map key", '"'),
    ("an unknown name of an enum, or its number in a string: unknown fields pass, values don't", r"a value of enum .*", "the name "),
    ("a message is an object: Python takes an empty array, and a string of unknown names", r".* as an object", "an array$|the string "),
    ("a duration is digits: Python takes signs, blanks, underscores and an empty fraction", r"a duration such as .*", "the string "),
    ("a timestamp is digits, seconds below 60, offsets below 24:00", r"a timestamp in the format of RFC 3339", "the string "),
    ("a number has its exact value, not that of the nearest double", NUMBERS + r"|a value of enum \S+", "the number "),
    ("an unpaired surrogate is no character", "a pair of surrogates", ""),
    ("NaN and Infinity are in quotes", "a value", r"'[NI]'$"),
    ("NaN and Infinity are in quotes", "a digit", "'I'$"),
]  # fmt: skip


def of_json(payload, path, expected, found, offset):
    if expected in ("each key once", "each field once") and means_the_same(payload):
        return "keys that mean the same are the same: 0 and -0; a field's proto and JSON name"
    for policy, asked, given in OF_JSON:
        if re.fullmatch(asked, expected, re.DOTALL) and re.match(given, found, re.DOTALL):
            return policy
    return None


def means_the_same(payload):
    """Returns whether an object has two keys that differ but may have the same meaning."""
    same = []

    def meaning(key):
        try:
            return float(key)
        except ValueError:
            return key.replace("_", "").lower()

    def look(pairs):
        keys = {key for key, _ in pairs}
        same.append(len({meaning(key) for key in keys}) < len(keys))

    json.loads(payload, object_pairs_hook=look)
    return any(same)
