"""A REQ client that repeats a request without an answer: python req_client.py [ADDRESS]

`gateway` and a worker must run. A REQ socket waits forever for an answer that is lost. With
RELAXED, it may send again. With CORRELATE, each request has a number, which the gateway returns, so
that a late answer is not taken for the answer to the new request.
"""

import sys

import zmq

import protos  # noqa: F401
from demo.person_pb2 import Person

socket = zmq.Context().socket(zmq.REQ)
socket.setsockopt(zmq.REQ_RELAXED, 1)
socket.setsockopt(zmq.REQ_CORRELATE, 1)
socket.rcvtimeo = 2_000  # milliseconds
socket.linger = 0
socket.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5559")

person = Person(id=12345, name="John Doe").SerializeToString()
for attempt in range(1, 4):
    socket.send_multipart([b"PROTOBUF", person])
    try:
        reply, payload = socket.recv_multipart()
    except zmq.Again:
        print(f"attempt {attempt}: no answer")
        continue
    print(f"PROTOBUF: {reply.decode()} {payload.decode()}")
    break
else:
    sys.exit("no answer: are the gateway and a worker running?")
