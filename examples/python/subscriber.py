"""A subscriber: python subscriber.py [ADDRESS]

`gateway` must run with the first routes.yaml of docs/channels.md. Any number of subscribers may
run. Each first receives the last earlier message of each type. No subscriber receives a message
whose payload violates its schema.
"""

import sys

import zmq

import protos  # noqa: F401
from demo.person_pb2 import Person

socket = zmq.Context().socket(zmq.SUB)
socket.subscribe("tick.")
socket.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5562")
while True:
    kind, *_headers, payload = socket.recv_multipart()
    print(f"{kind.decode()}: {Person.FromString(payload).email}", flush=True)
