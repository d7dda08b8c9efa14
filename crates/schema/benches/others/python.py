"""Measures PyPI's protovalidate on the messages of rules.proto: python.py MODULES"""

import importlib.metadata
import statistics
import sys
import time

sys.path.insert(0, sys.argv[1])
import protovalidate  # noqa: E402
import rules_pb2  # noqa: E402

PAYLOAD = bytes.fromhex(
    "08960110c0c407182a20e80728413100000000000029403d0000803f420c416461204c6f76656c6163654a0f616461406578616d706c652e6f7267520461626364"
)
validator = protovalidate.Validator()
version = importlib.metadata.version("protovalidate")
for name in ("Standard", "Cel"):
    message = getattr(rules_pb2, name).FromString(PAYLOAD)
    rounds = []
    for _ in range(7):
        start = time.perf_counter_ns()
        for _ in range(300):
            assert not validator.collect_violations(message)
        rounds.append((time.perf_counter_ns() - start) / 300)
    print(f"| protovalidate {version}, Python | {name} | {statistics.median(rounds):.0f} ns |")
