"""A REP worker: python rep_worker.py [ADDRESS], for a pool with `workers: rep` in routes.yaml.

The worker receives no identity, because a REP socket handles the envelope itself.
"""

import sys

import zmq

import protos  # noqa: F401
from demo.person_pb2 import Person

address = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5560"
socket = zmq.Context().socket(zmq.REP)
socket.connect(address)
print(f"working for {address}", flush=True)

while True:
    _kind, *headers, payload = socket.recv_multipart()
    answer = f"Processed Protobuf: {Person.FromString(payload).name}"
    print(answer, flush=True)
    socket.send_multipart([b"REPLY", *headers, answer.encode()])
