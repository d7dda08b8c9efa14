"""A DEALER client: python client.py [ADDRESS], with `gateway` and a worker running.

Sends a person in each encoding, and then a person without a name. The gateway rejects the last
request, so no worker receives it.
"""

import sys

import msgpack
import zmq

import protos  # noqa: F401
from demo.person_pb2 import Person
from gateway.v1.error_pb2 import Error


def ask(socket, kind, payload):
    """Sends one request and prints its one answer."""
    socket.send_multipart([kind, payload])
    reply, *_headers, payload = socket.recv_multipart()
    if reply != b"ERROR":
        print(f"{kind.decode()}: {reply.decode()} {payload.decode()}")
    elif kind == b"PROTOBUF":
        error = Error.FromString(payload)
        print(f"{kind.decode()}: refused, {error.reason}: {error.message}")
    else:
        error = msgpack.unpackb(payload)
        print(f"{kind.decode()}: refused, {error['reason']}: {error['message']}")


socket = zmq.Context().socket(zmq.DEALER)
socket.identity = b"client1"
socket.rcvtimeo = 5_000  # milliseconds; zmq.Again after that
socket.linger = 0
socket.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5559")

john = Person(id=12345, name="John Doe", email="jdoe@example.com")
ask(socket, b"PROTOBUF", john.SerializeToString())
ask(socket, b"MSGPACK", msgpack.packb({"id": 54321, "name": "Jane Doe"}))
ask(socket, b"MSGPACK", msgpack.packb({"id": 54321}))
