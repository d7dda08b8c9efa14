"""Random expressions over random messages, judged by the gateway, protovalidate and cel-cpp.

    expressions.py generate WORK SEED COUNT   writes protos/ and messages.json in WORK, prints payloads
    expressions.py judge WORK LINE            judges by protovalidate, writes WORK/line-LINE
    expressions.py judge_cpp WORK             judges by cel-cpp, writes WORK/line-3
    expressions.py compare WORK               exits with 1 if there is a difference

WORK/verdicts has the payloads that are judged, with the gateway's verdicts, as rule_verdicts prints
them. LINE is one of the two release lines of protovalidate, which have independent implementations
of CEL: line 1 uses cel-python, and line 2 one in Rust. Where these two and cel-cpp differ from each
other, the gateway must agree with at least one of them, and such cases are counted. The gateway
must refuse every expression that cel-cpp refuses.
"""

import collections
import functools
import importlib
import json
import pathlib
import random
import sys

# The number of payloads of each message.
PAYLOADS = 12

FIELDS = """
  int64 i = 1; int32 j = 2; uint64 u = 3; double d = 4; bool b = 5; string s = 6; string t = 7; bytes y = 8;
  repeated int64 ints = 9; repeated string texts = 10; map<string, int64> map = 11; google.protobuf.Timestamp at = 12;
  google.protobuf.Duration span = 13; optional int64 o = 14; Inner m = 15; repeated Inner inners = 16;
"""

HEAD = """syntax = "proto3";
package expressions;
import "buf/validate/validate.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/timestamp.proto";
message Inner { int64 n = 1; string name = 2; }
"""

TEXTS = ["", "a", "ab", "abc", "żółw", "🦀", "a.b", "A"]
LEAVES = {
    "int": ["this.i", "int(this.j)", "this.m.n", "0", "1", "-1", "7", "9223372036854775807", "size(this.s)", "this.ints.size()"],
    "uint": ["this.u", "0u", "1u", "7u", "uint(this.j)"],
    "double": ["this.d", "0.0", "1.5", "-0.5", "double(this.i)"],
    "bool": ["this.b", "true", "false", "has(this.o)", "has(this.m)", "this.s == this.t"],
    "string": ["this.s", "this.t", "this.m.name", "string(this.i)", *(f"'{text}'" for text in TEXTS)],
    "bytes": ["this.y", "b'a'", "b''", "bytes(this.s)"],
    "ints": ["this.ints", "[1, 2]", "this.texts.map(x, x.size())", "this.inners.map(x, x.n)"],
    "texts": ["this.texts", "['a', 'b']", "this.inners.map(x, x.name)"],
    "map": ["this.map", "{'a': 1}"],
    "time": ["this.at", "timestamp('1970-01-01T00:00:01Z')", "(this.at + this.span)"],
    "span": ["this.span", "duration('5s')", "duration('0s')"],
}  # fmt: skip
# The forms of the expressions of each type. A type in braces stands for an expression of that type.
NODES = {
    "int": ["({int} + {int})", "({int} - {int})", "({int} * {int})", "({int} / {int})", "({int} % {int})", "({bool} ? {int} : {int})",
            "size({texts})", "{ints}[{int}]", "this.map[{string}]", "-({int})", "{span}.getSeconds()", "{time}.getFullYear()", "int({uint})"],
    "uint": ["({uint} + {uint})", "({uint} - {uint})", "({uint} * {uint})", "({bool} ? {uint} : {uint})", "uint({int})"],
    "double": ["({double} + {double})", "({double} * {double})", "({double} / {double})", "-({double})"],
    "bool": ["({bool} && {bool})", "({bool} || {bool})", "!({bool})", "({int} < {int})", "({int} == {int})", "({uint} >= {uint})",
             "({double} <= {double})", "({string} != {string})", "({string} < {string})", "({bytes} == {bytes})", "({int} in {ints})",
             "({string} in {texts})", "({string} in {map})", "{string}.startsWith({string})", "{string}.endsWith({string})",
             "{string}.contains({string})", "{string}.matches('^a.*b?$')", "{ints}.all(x, x >= {int})", "{texts}.exists(x, x == {string})",
             "{ints}.exists_one(x, x == {int})", "({time} < {time})", "({span} <= {span})", "{map}.all(k, k != {string})",
             "({bool} ? {bool} : {bool})", "this.inners.exists(x, x.n > {int})", "({ints} == {ints})", "({int} < {double})"],
    "string": ["({string} + {string})", "({bool} ? {string} : {string})", "{texts}[{int}]", "string({int})"],
    "bytes": ["({bytes} + {bytes})"],
    "ints": ["({ints} + {ints})", "{ints}.filter(x, x > {int})", "{ints}.map(x, x + {int})"],
    "texts": ["({texts} + {texts})", "{texts}.filter(x, x != {string})"],
    "map": ["({bool} ? {map} : {map})"],
    "time": ["({time} + {span})", "({time} - {span})"],
    "span": ["({span} + {span})", "({time} - {time})"],
}  # fmt: skip


class Grower:
    """Makes random expressions of a given type."""

    def __init__(self, chooser):
        self.chooser = chooser

    def of(self, kind, depth):
        chooser = self.chooser
        if depth == 0 or chooser.random() < 0.15:
            return chooser.choice(LEAVES[kind])
        form = chooser.choice(NODES[kind])
        while "{" in form and (hole := next((kind for kind in NODES if "{" + kind + "}" in form), None)):
            form = form.replace("{" + hole + "}", self.of(hole, depth - 1).replace("{", "\x01").replace("}", "\x02"), 1)
        return form.replace("\x01", "{").replace("\x02", "}")

    def expression(self):
        """Returns an expression of type bool, and whether its types are certain to fit.

        In one of ten expressions, a part is replaced by one of another type if that part occurs.
        """
        text = self.of("bool", self.chooser.choice([1, 2, 3, 4]))
        if self.chooser.random() >= 0.1:
            return text, True
        kind = self.chooser.choice(["this.i", "this.s", "this.b"])
        return text.replace(kind, self.chooser.choice(["this.u", "this.ints", "this.m", "this.none", "null"]), 1), False


def generate(work, seed, count):
    from google.protobuf import message_factory
    from grpc_tools import protoc

    import generate as payloads

    chooser = random.Random(seed)
    grower = Grower(chooser)
    grown = [grower.expression() for _ in range(count)]
    expressions = [text for text, _ in grown]
    quoted = lambda text: json.dumps(text, ensure_ascii=False)
    rule = lambda text: f'option (buf.validate.message).cel = {{id: "e", message: "broken", expression: {quoted(text)}}};'
    messages = [f"message E{place} {{\n  {rule(text)}{FIELDS}}}" for place, text in enumerate(expressions)]
    (work / "protos").mkdir()
    (work / "python").mkdir()
    (work / "protos" / "expressions.proto").write_text(HEAD + "\n".join(messages) + "\n")
    roots = [work / "protos", payloads.WELL_KNOWN]
    include = pathlib.Path(protoc.__file__).parent / "_proto"
    arguments = ["protoc", *(f"-I{root}" for root in roots), f"-I{include}", f"--python_out={work / 'python'}"]
    assert protoc.main([*arguments, "expressions.proto", "buf/validate/validate.proto"]) == 0
    sys.path.insert(0, str(work / "python"))
    module = importlib.import_module("expressions_pb2")
    writer, names = payloads.Writer(chooser), []
    for place in range(count):
        descriptor = module.DESCRIPTOR.message_types_by_name[f"E{place}"]
        names.append(descriptor.full_name)
        for _ in range(PAYLOADS):
            message = message_factory.GetMessageClass(descriptor)()
            writer.fill(message)
            print(json.dumps({"m": place, "e": "protobuf", "p": message.SerializeToString().hex()}))
    noted = {"roots": [str(root) for root in roots], "messages": names, "expressions": expressions, "fits": [fits for _, fits in grown]}
    (work / "messages.json").write_text(json.dumps(noted))


def judge(work, line):
    sys.path.insert(0, str(work / "python"))
    import protovalidate
    from google.protobuf import message_factory

    module = importlib.import_module("expressions_pb2")
    validator = protovalidate.Validator()

    def verdict(message):
        try:
            return "broken" if list(validator.collect_violations(message)) else "kept"
        except Exception as error:
            return f"none: {type(error).__name__}: {error}"[:200]

    with open(work / f"line-{line}", "w") as out:
        for text in open(work / "verdicts"):
            ours = json.loads(text)
            kind = message_factory.GetMessageClass(module.DESCRIPTOR.message_types_by_name[f"E{ours['m']}"])
            message = kind.FromString(bytes.fromhex(ours.get("p", "")))
            out.write(json.dumps(verdict(message)) + "\n")


def judge_cpp(work):
    """Judges the payloads in WORK/verdicts by cel-cpp, which also checks types."""
    sys.path.insert(0, str(work / "python"))
    from cel_expr_python import cel
    from google.protobuf import message_factory

    module = importlib.import_module("expressions_pb2")
    noted = json.loads((work / "messages.json").read_text())

    # The payloads of a message follow each other. Only the last environment is kept, because each
    # takes megabytes.
    @functools.lru_cache(maxsize=1)
    def compiled(place):
        environment = cel.NewEnv(variables={"this": cel.Type(noted["messages"][place])})
        try:
            return environment.compile(noted["expressions"][place]), ""
        except RuntimeError as error:
            return None, f"refused: {error}"[:300]

    def verdict(place, message):
        expression, refused = compiled(place)
        if not expression:
            return refused
        value = expression.eval(data={"this": message})
        if value.type() != cel.Type.BOOL:
            return f"none: {value.value()}"[:200]
        return "kept" if value.value() else "broken"

    with open(work / "line-3", "w") as out:
        for text in open(work / "verdicts"):
            ours = json.loads(text)
            kind = message_factory.GetMessageClass(module.DESCRIPTOR.message_types_by_name[f"E{ours['m']}"])
            out.write(json.dumps(verdict(ours["m"], kind.FromString(bytes.fromhex(ours.get("p", ""))))) + "\n")


def agreement(ours, fits, first, second, cpp):
    """Returns how the gateway's verdict relates to the others, then this verdict, then the others.

    The relation is "difference" if no other implementation agrees with the gateway, or if cel-cpp
    refuses an expression that the gateway accepts.
    """
    verdict = {"failed": "none"}.get(ours["v"], ours["v"])
    verdicts = [line.split(":")[0] for line in (first, second, cpp)]
    if "'(int, double)'" in cpp:
        # cel-cpp compares numbers of different types only with an option that its package lacks.
        verdicts[2] = "mixed"
    # The other implementations accept durations beyond the range of google.protobuf.Duration.
    if verdict == "none" and "out of range of google.protobuf." in str(ours["t"]):
        return "range", verdict, verdicts
    # The gateway refuses expressions that can have no value.
    if verdict == "refused" and "fails for every payload" in str(ours["t"]):
        return ("all" if "none" in verdicts else "difference"), verdict, verdicts
    # The lines of protovalidate check types only when they evaluate a rule for a payload, and
    # cel-cpp does not know that the result of a rule must be a bool.
    if verdict == "refused":
        return ("all" if verdicts[2] == verdict else "difference" if fits else "no bool"), verdict, verdicts
    if verdicts[2] == "refused" or verdict not in verdicts:
        return "difference", verdict, verdicts
    alone = [line for line, other in zip(("line 1", "line 2", "cel-cpp"), verdicts) if other not in (verdict, "mixed")]
    return "not " + ", ".join(alone) if alone else "all", verdict, verdicts


def compare(work):
    noted = json.loads((work / "messages.json").read_text())
    counts, wrong = collections.Counter(), set()
    rows = zip(open(work / "verdicts"), *(open(work / f"line-{line}") for line in (1, 2, 3)))
    for text, *lines in rows:
        ours, lines = json.loads(text), [json.loads(line) for line in lines]
        agree, verdict, verdicts = agreement(ours, noted["fits"][ours["m"]], *lines)
        counts[agree, verdict, *verdicts] += 1
        if agree == "difference" and ours["m"] not in wrong and len(wrong) < 20:
            print(f"DIFFERENCE: {noted['expressions'][ours['m']]}\n  {ours.get('p')}\n  we: {ours['v']} {ours['t']}\n  {lines}")
            wrong.add(ours["m"])
    for (agree, ours, *verdicts), number in sorted(counts.items()):
        print(f"{agree:24}  we: {ours:7}  line 1: {verdicts[0]:6}  line 2: {verdicts[1]:6}  cel-cpp: {verdicts[2]:7} {number:8,}")
    shares = collections.Counter()
    for (agree, *_), number in counts.items():
        shares[agree] += number
    print(f"{sum(counts.values()):,} verdicts on {len(noted['expressions']):,} expressions, {shares['difference']} differences")
    # A run in which all implementations agree on at most half of the verdicts shows nothing.
    sys.exit(0 if not shares["difference"] and shares["all"] > sum(shares.values()) / 2 else 1)


command, work, *rest = sys.argv[1:]
{"generate": generate, "judge": judge, "judge_cpp": judge_cpp, "compare": compare}[command](pathlib.Path(work), *(int(word) for word in rest))
