"""A DEALER worker: python worker.py [ADDRESS], with `gateway` running.

Any number of workers may run, and may start before or after the gateway. No worker receives a
payload that violates its schema. After SIGTERM or Ctrl-C, the worker sends BYE, answers the
requests that it has, receives BYE, and ends.
"""

import signal
import sys

import msgpack
import zmq

import protos  # noqa: F401
from demo.person_pb2 import Person

address = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5560"
socket = zmq.Context().socket(zmq.DEALER)
socket.connect(address)
# A signal may interrupt any statement, so its handler only sends a message to the loop below.
end_in, end_out = socket.context.socket(zmq.PAIR), socket.context.socket(zmq.PAIR)
end_out.bind("inproc://end")
end_in.connect("inproc://end")
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: end_in.send(b""))
poller = zmq.Poller()
poller.register(socket, zmq.POLLIN)
poller.register(end_out, zmq.POLLIN)
print(f"working for {address}", flush=True)

while True:
    ready = dict(poller.poll())
    if end_out in ready:
        end_out.recv()
        socket.send(b"BYE")
    if socket not in ready:
        continue
    frames = socket.recv_multipart()
    if frames == [b"BYE"]:
        break
    identity, kind, *headers, payload = frames
    if kind == b"PROTOBUF":
        answer = f"Processed Protobuf: {Person.FromString(payload).name}"
    elif kind == b"MSGPACK":
        answer = f"Processed MsgPack: {msgpack.unpackb(payload)['name']}"
    else:
        answer = "Unknown message type"
    print(f"{identity.decode()}: {answer}", flush=True)
    socket.send_multipart([identity, b"REPLY", *headers, answer.encode()])
