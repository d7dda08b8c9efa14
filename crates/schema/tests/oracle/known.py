"""The known differences between the gateway and protovalidate, each with its reason.

There are two release lines of protovalidate: line 1 has the versions 1.x, in Python over
cel-python, and line 2 has the versions 2.x, in Rust.
"""

import collections
import json
import math
import pathlib
import re
import struct
import time

from buf.validate import validate_pb2
from google.protobuf import unknown_fields

# A payload for each reason except PASSED. Every run judges these payloads, because their messages
# are in protos/.
EXAMPLES = pathlib.Path(__file__).parent / "examples.jsonl"

# The errors of the two lines for a rule that fails for every payload, because it names a field or
# an overload that does not exist.
UNCHECKED = re.compile(r"no.such.(field|member|overload)|No matching overloads", re.IGNORECASE)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")

# The errors of the two lines for a string of proto2 that is not UTF-8.
NO_TEXT = re.compile(r"'bytes' object is not an instance of 'str'|UnicodeDecodeError")

# The error of line 1 for a condition without a value, such as `string(this).matches(…)` of bytes
# that are not UTF-8, as in the rule bytes.pattern.
NO_CONDITION = "found no matching overload for _?_:_ applied to '(<class 'celpy.evaluation.CELEvalError'>, "

# The only reason that no example can show, the rules that it concerns, and the distance from now,
# in seconds, within which it applies to a timestamp.
PASSED = "a timestamp near now, which may have passed between the two verdicts"
OF_NOW, NEAR = {"timestamp.lt_now", "timestamp.gt_now", "timestamp.within"}, 86_400

# The maximum number of violations of a payload that the gateway reports.
VIOLATIONS_MAX = 16

# The first and the last second of a Timestamp, the maximum distance by which a time zone moves a
# Timestamp, and the longest Duration, all in seconds.
FIRST, LAST, ZONE_MAX, LONGEST = -62135596800, 253402300799, 14 * 3600, 315576000000

# The errors of line 1 for a date and for a span beyond the range of Python.
NO_DATE, NO_SPAN = "OverflowError: date value out of range", "ValueError: range error: {seconds}"


def plain(path):
    """Returns the path with `…` for each key that others may cut or escape differently."""
    return re.sub(r'\["(?:.{40,}|.*[^\x20-\x7e].*|.*[\\"].*)"\]', '["…"]', path, flags=re.DOTALL)


def values(message, path=""):
    """Yields each value of a message and of the messages in it, as a path, a field and a value."""
    for field, value in message.ListFields():
        at = (path + "." if path else "") + (f"[{field.full_name}]" if field.is_extension else field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            inner = [(f"{at}[{json.dumps(key, ensure_ascii=False)}]", item) for key, item in value.items()]
        else:
            inner = [(f"{at}[{place}]", item) for place, item in enumerate(value)] if field.is_repeated else [(at, value)]
        for at, item in inner:
            yield plain(at), field, item
            if hasattr(item, "ListFields"):
                yield from values(item, at)


def negative_zeros(message):
    """Yields the path of each -0.0 whose rules depend on whether -0.0 counts as absent."""
    for path, field, value in values(message):
        if not isinstance(value, float) or math.copysign(1, value) > 0 or value != 0:
            continue
        rules = field.GetOptions().Extensions[validate_pb2.field]
        alone = field.containing_type.GetOptions().Extensions[validate_pb2.message].oneof
        elements = rules.map.values if field.message_type else rules.repeated.items
        if field.is_repeated:
            skipped = elements.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE
        else:
            skipped = rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE or any(field.name in one.fields for one in alone)
        if skipped or rules.required and not field.is_repeated:
            yield path


def not_text(message):
    """Yields the paths of bytes that are not UTF-8."""
    for path, _, value in values(message):
        try:
            isinstance(value, bytes) and value.decode()
        except UnicodeDecodeError:
            yield path


def seconds(message, kind):
    """Returns the seconds of each message of this kind, `Timestamp` or `Duration`."""
    return [value.seconds for _, _, value in values(message) if is_of(value, kind)]


def is_of(value, kind):
    return hasattr(value, "DESCRIPTOR") and value.DESCRIPTOR.full_name == f"google.protobuf.{kind}"


def near_the_ends(message):
    """Returns whether a time zone may move a Timestamp beyond the ends of its range."""
    return any(
        FIRST <= moment < FIRST + ZONE_MAX or LAST - ZONE_MAX < moment <= LAST for moment in seconds(message, "Timestamp")
    )


def beyond_the_ends(message):
    """Returns whether a Timestamp or a Duration is beyond its range."""
    moments, spans = seconds(message, "Timestamp"), seconds(message, "Duration")
    return any(not FIRST <= moment <= LAST for moment in moments) or any(abs(span) > LONGEST for span in spans)


def near_now(message):
    """Returns whether a Timestamp is near now."""
    return any(abs(moment - time.time()) < NEAR for moment in seconds(message, "Timestamp"))


def close_times(message):
    """Yields the paths of messages with two different timestamps in the same microsecond."""
    times = collections.defaultdict(list)
    for path, _, value in values(message):
        if is_of(value, "Timestamp"):
            times[path.rpartition(".")[0]].append((value.seconds, value.nanos))
    for path, found in times.items():
        micros = {(seconds, nanos // 1000) for seconds, nanos in found}
        if len(micros) < len(set(found)):
            yield path


# Each of the following functions takes a row, which is the path, the rule id and the sentence of a
# violation, and returns the form in which the row is compared, or None if the row is left out.


def unset(row, message):
    """Leaves out rules on a -0.0."""
    path, rule, _ = row
    concerns = lambda zero: zero == path or rule == "message.oneof" and zero.startswith(path)
    return None if any(concerns(zero) for zero in negative_zeros(message)) else row


def by_value(text, form):
    """Returns the text with its numbers in one notation, and with the precision of `form`."""
    exact = lambda number: struct.unpack(form, struct.pack(form, float(number)))[0]
    return NUMBER.sub(lambda found: repr(exact(found.group())), text)


def floats(row, message):
    """Compares the numbers in rules of `float` and `double` by their value."""
    path, rule, text = row
    form = {"float": "<f", "double": "<d"}.get(rule.split(".")[0])
    return (path, rule, by_value(text, form)) if form else row


def spans(row, message):
    """Compares rules of durations without their sentences."""
    path, rule, text = row
    return (path, rule, "") if rule.startswith("duration.") or rule == "timestamp.within" else row


def compared(row, message):
    """Leaves out rules of durations and timestamps."""
    return None if row[1].startswith(("duration.", "timestamp.")) else row


def timed(row, message):
    """Leaves out rules in CEL of a message with two timestamps in the same microsecond."""
    path = row[0]
    return None if any(path == at for at in close_times(message)) else row


def elements(row, message):
    """Leaves out enum.defined_only for elements of lists and values of maps."""
    return None if row[1] == "enum.defined_only" and row[0].endswith("]") else row


def structs(row, message):
    """Leaves out the rule in CEL that reads a Struct."""
    return None if row[1] == "struct" else row


# For each line: the functions that make the rows of both sides alike, and the reason for which the
# rows differ without each function. The functions are applied one after another.
ALIKE = {
    1: [
        (unset, "line 1 takes -0.0 for a field that is not set; line 2 and protobuf's specification for one that is"),
        (spans, "line 1 writes durations without days and nanoseconds"),
        (compared, "line 1 compares durations and timestamps without nanoseconds"),
        (timed, "line 1 compares timestamps without nanoseconds in CEL, too"),
        (elements, "line 1 does not apply enum.defined_only to elements; line 2 does"),
        (structs, "line 1 finds no key in a Struct; line 2 and CEL's specification read it as a map"),
    ],
    2: [(floats, "line 2 writes 0.10000000149011612 for the float 0.1, and no exponents")],
}


def drops_entries(message):
    """Returns whether upb has dropped an entry of a map because the entry has unknown fields."""
    unknown = {field.field_number for field in unknown_fields.UnknownFieldSet(message)}
    for field in message.DESCRIPTOR.fields:
        if field.message_type and field.message_type.GetOptions().map_entry and field.number in unknown:
            return True
    for field, value in message.ListFields():
        if not field.message_type:
            continue
        entry = field.message_type if field.message_type.GetOptions().map_entry else None
        if entry and not entry.fields_by_name["value"].message_type:
            continue
        inner = value.values() if entry else value if field.is_repeated else [value]
        if any(drops_entries(one) for one in inner):
            return True
    return False


class Case:
    """The verdicts of the gateway and of a line on a message, each with the violations."""

    def __init__(self, ours, theirs, rows, message):
        self.ours, self.encoding, self.rows, self.message = ours["v"], ours["e"], rows, message
        self.theirs, self.their_text = theirs
        self.sentences = [text for _, _, text in ours["t"]] if self.ours in ("broken", "failed") else []

    def only_they_fail(self):
        return self.ours == "broken" and self.theirs == "failed"


# The other known reasons for which verdicts differ: the lines concerned, the reason, and a function
# that returns whether the reason applies to a case.
KNOWN = [
    (
        (1, 2),
        "a rule that has no value for any payload is refused when it is loaded",
        lambda case: case.ours == "refused" and case.theirs == "failed" and UNCHECKED.search(case.their_text),
    ),
    (
        (1, 2),
        f"the gateway reports {VIOLATIONS_MAX} violations, and stops before the rule that has no value",
        lambda case: case.only_they_fail() and len(case.rows) >= VIOLATIONS_MAX,
    ),
    (
        (2,),
        "a Timestamp beyond its range has no value in the gateway",
        lambda case: case.ours == "failed" and any("out of range of google.protobuf." in text for text in case.sentences),
    ),
    (
        (1, 2),
        "Python has no verdict on a string of proto2 that is not UTF-8",
        lambda case: case.theirs == "failed" and NO_TEXT.search(case.their_text),
    ),
    (
        (2,),
        "bytes that are not UTF-8 break bytes.pattern in the gateway; protovalidate has no verdict on them",
        lambda case: case.only_they_fail() and "UTF-8 to apply regexp" in case.their_text,
    ),
    (
        (1,),
        "bytes that are not UTF-8 break bytes.pattern in the gateway; protovalidate has no verdict on them",
        lambda case: case.only_they_fail() and NO_CONDITION in case.their_text and breaks_a_pattern(case),
    ),
    (
        (1, 2),
        "upb drops a map's entry that has unknown fields",
        lambda case: case.encoding == "protobuf" and drops_entries(case.message),
    ),
    (
        (1,),
        "line 1 has no verdict on a Duration or Timestamp beyond its range, which the gateway only reads for a rule",
        lambda case: case.their_text in (NO_DATE, NO_SPAN) and beyond_the_ends(case.message),
    ),
    (
        (1,),
        "line 1 has no value for a Timestamp that a time zone moves out of the years 1 to 9999; line 2 has",
        lambda case: case.their_text == NO_DATE and near_the_ends(case.message),
    ),
    (
        (1,),
        "line 1 cannot compare null with other values; line 2 can",
        lambda case: case.theirs == "failed" and "NoneType" in case.their_text,
    ),
]


def breaks_a_pattern(case):
    """Returns whether bytes that are not UTF-8 break bytes.pattern."""
    broken = {path for path, rule, _ in case.rows if rule == "bytes.pattern"}
    return any(path in broken for path in not_text(case.message))


def reason(line, case):
    """Returns the known reason for which the verdicts on a message differ, or None."""
    for lines, why, shows in KNOWN:
        if line in lines and shows(case):
            return why
    if case.ours not in ("broken", "kept") or case.theirs not in ("broken", "kept"):
        return None
    first, second = case.rows, case.their_text
    if near_now(case.message):
        first, second = ([row for row in side if row[1] not in OF_NOW] for side in (first, second))
        if sorted(first) == sorted(second):
            return PASSED
    for alike, why in ALIKE[line]:
        first, second = ([alike(row, case.message) for row in side if alike(row, case.message)] for side in (first, second))
        if sorted(first) == sorted(second) or len(case.rows) == VIOLATIONS_MAX and set(first) <= set(second):
            return why
    return None


def reasons(line):
    """Returns every reason for which a verdict of a line is known to differ."""
    return {why for lines, why, _ in KNOWN if line in lines} | {why for _, why in ALIKE[line]}


def examples(line):
    """Yields the examples of a line: message name, payload in hexadecimal, and reason."""
    for text in EXAMPLES.read_text().splitlines():
        example = json.loads(text)
        if line in example["lines"]:
            yield example["message"], example["payload"], example["why"]
