"""A model of the mapping to MessagePack in docs/schemas.md, for values that PyPI's msgpack reads.

`judge(payload, descriptor)` returns whether the payload is valid. It returns None if msgpack
rejects a timestamp in the payload, because the rest of the payload is then unknown.
"""

import struct

import msgpack


class Extension:
    pass


class Map:
    def __init__(self, pairs):
        self.pairs = pairs


WHOLE = {
    5: 32, 17: 32, 15: 32,  # int32, sint32, sfixed32
    3: 64, 18: 64, 16: 64,
}  # fmt: skip
NATURAL = {13: 32, 7: 32, 4: 64, 6: 64}
DOUBLE, FLOAT, BOOL, STRING, BYTES, ENUM = 1, 2, 8, 9, 12, 14
WRAPPERS = {f"google.protobuf.{name}Value" for name in "Double Float Int64 UInt64 Int32 UInt32 Bool String Bytes".split()}
VALUE = "google.protobuf.Value"


def judge(payload, descriptor):
    try:
        value = msgpack.unpackb(
            payload,
            strict_map_key=False,
            unicode_errors="surrogateescape",
            object_pairs_hook=Map,
            # MessagePack gives the content of an extension no meaning.
            ext_hook=lambda kind, data: Extension(),
        )
    except Exception as error:
        # msgpack decodes every timestamp, and stops at an invalid one.
        return None if "timestamp" in str(error) or "nanoseconds" in str(error) else False
    return is_message(value, descriptor)


def is_text(value):
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def whole(value):
    """Returns the integer that equals a value, or None if there is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value


def keys_differ(keys):
    """Returns whether all keys have different meanings. 1.0 means the same as 1, but True does not."""
    meant = [("bool", it) if isinstance(it, bool) else ("text", it) if isinstance(it, str) else ("int", whole(it)) for it in keys]
    return len(set(meant)) == len(meant)


def is_scalar(value, field):
    kind = field.type
    if kind in WHOLE or kind in NATURAL:
        number = whole(value)
        low, high = (-(2 ** (WHOLE[kind] - 1)), 2 ** (WHOLE[kind] - 1)) if kind in WHOLE else (0, 2 ** NATURAL[kind])
        return number is not None and low <= number < high
    if kind in (DOUBLE, FLOAT):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        try:
            struct.pack("<f" if kind == FLOAT else "<d", value)
            return True
        except OverflowError:
            return False
    if kind == BOOL:
        return isinstance(value, bool)
    if kind == STRING:
        return is_text(value)
    if kind == BYTES:
        return isinstance(value, bytes) or isinstance(value, list) and all(is_byte(it) for it in value)
    assert kind == ENUM, kind
    if isinstance(value, str):
        return is_text(value) and value in field.enum_type.values_by_name
    number = whole(value)
    known = not field.enum_type.is_closed or number in field.enum_type.values_by_number
    return number is not None and -(2**31) <= number < 2**31 and known


def is_byte(value):
    number = whole(value)
    return number is not None and 0 <= number < 256


def is_element(value, field):
    return is_message(value, field.message_type) if field.message_type else is_scalar(value, field)


def is_field(value, field):
    entry = field.message_type
    if entry and entry.GetOptions().map_entry:
        key, of = entry.fields
        if not isinstance(value, Map) or not all(is_scalar(k, key) for k, _ in value.pairs):
            return False
        return keys_differ([k for k, _ in value.pairs]) and all(is_element(v, of) for _, v in value.pairs)
    if field.is_repeated:
        return isinstance(value, list) and all(is_element(it, field) for it in value)
    return is_element(value, field)


def is_message(value, descriptor):
    name = descriptor.full_name
    if name == VALUE:
        return is_free(value)
    if name == "google.protobuf.Struct":
        return isinstance(value, Map) and is_free(value)
    if name == "google.protobuf.ListValue":
        return isinstance(value, list) and is_free(value)
    if name == "google.protobuf.Timestamp" and isinstance(value, msgpack.Timestamp):
        return True
    if name in WRAPPERS and not isinstance(value, Map):
        field = descriptor.fields[0]
        first = value[0] if isinstance(value, list) and value else None
        number = isinstance(first, int) and not isinstance(first, bool)
        as_message = isinstance(value, list) and (field.type != BYTES or bool(value) and not number)
        return is_placed(value, descriptor) if as_message else is_scalar(value, field)
    if isinstance(value, Map):
        return is_keyed(value, descriptor)
    return isinstance(value, list) and is_placed(value, descriptor)


def is_free(value):
    if isinstance(value, Map):
        keys = [key for key, _ in value.pairs]
        return all(map(is_text, keys)) and keys_differ(keys) and all(is_free(it) for _, it in value.pairs)
    if isinstance(value, list):
        return all(map(is_free, value))
    return value is None or is_text(value) or isinstance(value, (bool, int, float))


def names(descriptor):
    """Returns a dict with each field by its names.

    A field's name in the file takes precedence over another field's JSON name.
    """
    fields = list(descriptor.fields)
    known = {field.json_name: field for field in fields} | {field.name: field for field in fields}
    extensions = descriptor.file.pool.FindAllExtensions(descriptor)
    return known | {f"[{it.full_name}]": it for it in extensions}


def is_keyed(value, descriptor):
    known, held, seen = names(descriptor), [], []
    for key, item in value.pairs:
        if not is_text(key):
            return False
        field = known.get(key)
        seen.append(field.full_name if field else ("unknown", key))
        if field:
            held.append((field, item))
    return len(set(seen)) == len(seen) and holds(held, descriptor)


def is_placed(value, descriptor):
    fields = list(descriptor.fields)
    return len(value) <= len(fields) and holds(list(zip(fields, value)), descriptor)


def holds(pairs, descriptor):
    """Returns whether these fields make a valid message.

    All present fields must be valid, all required fields must be present, and each oneof must have
    at most one present field.
    """
    of_value = lambda field: field.message_type and field.message_type.full_name == VALUE and not field.is_repeated
    there = [(field, value) for field, value in pairs if value is not None or of_value(field)]
    oneofs = [field.containing_oneof.full_name for field, _ in there if field.containing_oneof]
    required = {field.full_name for field in descriptor.fields if field.is_required}
    return (
        len(set(oneofs)) == len(oneofs)
        and required <= {field.full_name for field, _ in there}
        and all(is_field(value, field) for field, value in there)
    )
