"""Compares the gateway's verdicts with PyPI's protovalidate: judge.py WORK EVERY LINE

LINE is the release line of protovalidate, 1 or 2. WORK has the files that generate.py and
rule_verdicts wrote. One payload in EVERY is judged, and so are all examples of known.py and all
payloads of protovalidate's own cases. The gateway's verdict on a message in JSON or MessagePack is
compared with protovalidate's verdict on the same message in protobuf. The gateway's verdict on a
mutation in these encodings is compared with protovalidate's verdict on the message that read.py
finds in the mutation. Differences that known.py lists are counted by their reason. The run exits
with 1 if there is any other difference, or if no example shows one of the reasons.
"""

import collections
import importlib
import json
import multiprocessing
import os
import pathlib
import re
import sys
import time
import zlib

work, every, line = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
sys.path.insert(0, str(work / "python"))
import known  # noqa: E402
import protovalidate  # noqa: E402
from buf.validate import validate_pb2  # noqa: E402
from google.protobuf import message_factory, symbol_database  # noqa: E402
from read import read  # noqa: E402

# The maximum number of kinds of differences that are printed, with two examples each.
SHOWN = 30

# The maximum length of a payload whose verdict is kept, in hexadecimal digits. Short payloads often
# occur again.
KEPT_MAX = 100


def path_of(field):
    """Returns a field path as text, such as `a.b[0]`."""
    path = ""
    for element in field.elements:
        path += ("." if path else "") + element.field_name
        subscript = element.WhichOneof("subscript")
        if subscript == "string_key":
            path += f'["{element.string_key}"]'
        elif subscript == "bool_key":
            path += "[true]" if element.bool_key else "[false]"
        elif subscript:
            path += f"[{getattr(element, subscript)}]"
    return path


def row(violation):
    proto = violation.proto
    if not hasattr(proto, "SerializeToString"):
        proto = validate_pb2.Violation.FromString(proto.to_binary())
    path = path_of(proto.field) + (" (key)" if proto.for_key else "")
    return known.plain(path), proto.rule_id, proto.message


def judged(message):
    """Returns protovalidate's verdict on a message, and the violations or the text of the error."""
    try:
        rows = sorted(row(violation) for violation in validator.collect_violations(message))
    except protovalidate.CompilationError as error:
        return "refused", str(error)
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"
    return ("broken" if rows else "kept"), rows


def rows_of(ours):
    if ours["v"] != "broken":
        return []
    return sorted((known.plain(path), rule, sentence) for path, rule, sentence in ours["t"])


def same(ours, theirs, rows):
    if ours["v"] != theirs[0]:
        return False
    if ours["v"] != "broken":
        return True
    return set(rows) <= set(theirs[1]) if len(rows) == known.VIOLATIONS_MAX else rows == theirs[1]


def show(name, ours, theirs, rows):
    """Prints a difference: the violations that only one side reports."""
    print(f"  DIFFERENCE: {name} {ours['e']} {ours.get('p')}")
    if ours["v"] == theirs[0] == "broken":
        print(f"    we alone:   {sorted(set(rows) - set(theirs[1]))}")
        print(f"    they alone: {sorted(set(theirs[1]) - set(rows))}")
    else:
        print(f"    we:   {ours['v']} {ours['t']}")
        print(f"    they: {theirs[0]} {theirs[1]}")


noted = json.loads((work / "messages.json").read_text())
for module in noted["modules"]:
    importlib.import_module(module)
pool = symbol_database.Default().pool
kinds = [message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in noted["messages"]]
examples = {(name, payload): why for name, payload, why in known.examples(line)}


class Judge:
    """The verdicts on a share of the payloads, which this process judges."""

    def __init__(self):
        self.counts, self.reasons, self.differences, self.shown = collections.Counter(), collections.Counter(), [], set()
        self.kept, self.unread = {}, collections.Counter()

    def judged(self, ours):
        """Returns protovalidate's verdict on a payload in protobuf."""
        key = ours["m"], ours["p"]
        found = self.kept.get(key) or judged(message_of(*key))
        if len(ours["p"]) <= KEPT_MAX:
            self.kept[key] = found
        return found

    def compare(self, ours, theirs, payload):
        """Compares the gateway's verdict with theirs on the same message, in protobuf (`payload`)."""
        self.counts[ours["e"], theirs[0], ours["v"]] += 1
        rows = rows_of(ours)
        if same(ours, theirs, rows):
            return
        name = noted["messages"][ours["m"]]
        reason = known.reason(line, known.Case(ours, theirs, rows, message_of(ours["m"], payload)))
        if reason and reason == examples.get((name, ours["p"])):
            self.shown.add(reason)
        if reason:
            self.reasons[reason] += 1
        else:
            self.differences.append((name, ours, theirs, rows))

    def compare_mutation(self, ours):
        """Compares the verdicts on a mutation in JSON or MessagePack and on the message in it."""
        message = read(kinds[ours["m"]], ours["e"], bytes.fromhex(ours["p"]))
        if message is None:
            self.unread[ours["e"]] += 1
        else:
            payload = message.SerializePartialToString().hex()
            self.compare(ours, self.judged(ours | {"p": payload}), payload)


def of_cases(ours):
    """Returns whether the message is one of protovalidate's own cases, which have few rules."""
    return noted["messages"][ours["m"]].startswith("buf.validate.conformance.cases.")


def message_of(place, payload):
    return kinds[place].FromString(bytes.fromhex(payload))


def judge_share(share):
    """Judges the payloads of one process, which judges a message in all three encodings."""
    judge, theirs, payload, at = Judge(), None, "", 0
    for text in open(work / "verdicts"):
        ours = json.loads(text)
        if ours["v"] == "refused":
            # The gateway refuses the rules of this message. An empty payload stands for all of its
            # payloads.
            if share == 0:
                judge.compare(ours | {"e": "protobuf", "p": ""}, judged(message_of(ours["m"], "")), "")
            continue
        if ours["e"] != "protobuf" and ours.get("mutation"):
            at += 1
            if (at % every == 0 or of_cases(ours)) and zlib.crc32(ours["p"].encode()) % processes == share:
                judge.compare_mutation(ours)
            continue
        if ours["e"] == "protobuf":
            theirs, payload, at = None, ours["p"], at + 1
            wanted = at % every == 0 or of_cases(ours) or (noted["messages"][ours["m"]], payload) in examples
            mine = zlib.crc32(payload.encode()) % processes == share
            if wanted and mine and ours["v"] != "malformed":
                theirs = judge.judged(ours)
        if theirs is not None:
            judge.compare(ours, theirs, payload)
    return judge.counts, judge.reasons, judge.differences, judge.shown, judge.unread


started = time.monotonic()
validator = protovalidate.Validator()
processes = os.cpu_count()
counts, reasons, unread = collections.Counter(), collections.Counter(), collections.Counter()
differences, shown = [], set()
with multiprocessing.get_context("fork").Pool(processes) as workers:
    for part in workers.imap(judge_share, range(processes)):
        counts += part[0]
        reasons += part[1]
        differences += part[2]
        shown |= part[3]
        unread += part[4]

seconds = time.monotonic() - started
print(f"protovalidate {line}: {sum(counts.values()):,} payloads in {seconds:.0f} s by {processes} processes")
for (encoding, they, we), number in sorted(counts.items()):
    print(f"  {encoding:8} they: {they:7} we: {we:9} {number:10,}")
for encoding, number in sorted(unread.items()):
    print(f"  {encoding:8} mutations in a form that writers do not use, not compared: {number:,}")
for reason, number in reasons.most_common():
    print(f"  known: {reason}: {number:,}")
by_kind = collections.Counter()
for name, ours, theirs, rows in differences:
    kind = name, ours["e"], ours["v"], theirs[0]
    by_kind[kind] += 1
    if by_kind[kind] <= 2 and len(by_kind) <= SHOWN:
        show(name, ours, theirs, rows)
unshown = set(known.reasons(line)) - shown
for why in sorted(unshown):
    print(f"  no example shows: {why}")
print(f"  {len(differences)} differences of {len(by_kind)} kinds", flush=True)
# A run in which no payload, or every payload, breaks a rule tests nothing.
seen = {they for _, they, _ in counts}
sys.exit(0 if not differences and not unshown and {"kept", "broken"} <= seen else 1)
