"""Reads payloads in JSON and MessagePack, in the forms that generate.py writes, into messages."""

import msgpack
from google.protobuf import json_format

# Messages with a special form, which is the same in JSON and MessagePack.
FREE = {f"google.protobuf.{name}" for name in ("Struct", "Value", "ListValue")}


def read(kind, encoding, payload):
    """Returns the message, or None if the payload has none of the forms that generate.py writes.

    The gateway accepts more forms, such as an array of fields.
    """
    message = kind()
    try:
        if encoding == "json":
            return json_format.Parse(payload.decode(), message, ignore_unknown_fields=True)
        fill(message, msgpack.unpackb(payload, strict_map_key=False, object_pairs_hook=once))
        return message
    except Exception:  # of any kind, for values of a wrong type or out of range
        return None


def once(pairs):
    """Returns these entries as a dict. Raises ValueError if a key occurs twice."""
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def is_wrapper(name):
    return name.startswith("google.protobuf.") and name.endswith("Value")


def fill(message, value):
    """Sets the fields of a message from a map that is keyed by the names of the fields."""
    name = message.DESCRIPTOR.full_name
    if name in FREE:
        json_format.ParseDict(value, message)
        return
    if is_wrapper(name):
        message.value = scalar(message.DESCRIPTOR.fields[0], value)
        message.SetInParent()
        return
    if not isinstance(value, dict):
        raise TypeError("no map")
    extensions = message.DESCRIPTOR.file.pool.FindAllExtensions(message.DESCRIPTOR)
    fields = {field.name: field for field in message.DESCRIPTOR.fields}
    fields |= {f"[{field.full_name}]": field for field in extensions}
    message.SetInParent()
    for key, item in value.items():
        field = fields.get(key)
        if not field:
            if key in message.DESCRIPTOR.fields_by_camelcase_name:
                raise ValueError("the name of a field in JSON")
            continue
        if item is None and not (field.message_type and field.message_type.full_name == "google.protobuf.Value"):
            continue
        set_field(message, field, item)


def set_field(message, field, item):
    held = message.Extensions[field] if field.is_extension else getattr(message, field.name)
    entry = field.message_type
    if entry and entry.GetOptions().map_entry:
        key, value = entry.fields
        for of, one in pairs_of(item):
            if value.message_type:
                fill(held[scalar(key, of)], one)
            else:
                held[scalar(key, of)] = scalar(value, one)
    elif field.is_repeated:
        if not isinstance(item, list):
            raise TypeError("no list")
        for one in item:
            if entry:
                fill(held.add(), one)
            else:
                held.append(scalar(field, one))
    elif entry:
        held.SetInParent()
        fill(held, item)
    elif field.is_extension:
        message.Extensions[field] = scalar(field, item)
    else:
        setattr(message, field.name, scalar(field, item))


def pairs_of(item):
    if not isinstance(item, dict):
        raise TypeError("no map")
    return item.items()


def scalar(field, value):
    """Returns the value of a scalar field. Raises TypeError if generate.py writes another type."""
    of = type(value)
    if field.type in (1, 2):
        fits = of in (float, int)
    elif field.type == 8:
        fits = of is bool
    elif field.type == 9:
        fits = of is str
    elif field.type == 12:
        fits = of is bytes
    else:
        fits = of is int
    if not fits:
        raise TypeError("of another type")
    return value
