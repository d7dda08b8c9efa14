"""A DEALER worker: python worker.py [ADDRESS], with `gateway` running.

Start as many as you like, before or after the gateway. No payload that fails its schema comes here.
"""

import sys

import msgpack
import zmq

import protos  # noqa: F401
from demo.person_pb2 import Person

address = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5560"
socket = zmq.Context().socket(zmq.DEALER)
socket.connect(address)
print(f"working for {address}", flush=True)

while True:
    identity, kind, *headers, payload = socket.recv_multipart()
    if kind == b"PROTOBUF":
        answer = f"Processed Protobuf: {Person.FromString(payload).name}"
    elif kind == b"MSGPACK":
        answer = f"Processed MsgPack: {msgpack.unpackb(payload)['name']}"
    else:
        answer = "Unknown message type"
    print(f"{identity.decode()}: {answer}", flush=True)
    socket.send_multipart([identity, b"REPLY", *headers, answer.encode()])
