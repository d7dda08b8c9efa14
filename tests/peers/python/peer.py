"""A peer that ../program.py starts; that file describes the protocol. Its first argument is the module: zmq, or one with the same interface.

Its keys for CURVE, if any, are the last arguments: public, secret, and that of the server, which is
empty if this is the server.
"""

import importlib
import sys

zmq = importlib.import_module(sys.argv[1])


def pattern(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def read(word):
    return pattern(int(word[1:])) if word[0] == "#" else bytes.fromhex(word[1:])


def show(frame):
    if len(frame) <= 4096:
        return "=" + frame.hex()
    return f"{'#' if frame == pattern(len(frame)) else '!'}{len(frame)}"


kind, way, endpoint, *keys = sys.argv[2:]
socket = zmq.Context().socket(getattr(zmq, kind.upper()))
if keys:
    public, secret, server = (key.encode() for key in keys)
    socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
    if server:
        socket.setsockopt(zmq.CURVE_SERVERKEY, server)
    else:
        socket.setsockopt(zmq.CURVE_SERVER, 1)
# A router must give its peer a name to be able to speak first.
named = [b"gateway"] if kind == "router" else []
if named:
    socket.setsockopt(zmq.CONNECT_ROUTING_ID, named[0])
if way == "connect":
    socket.connect(endpoint)
else:
    socket.bind(endpoint)
    endpoint = socket.last_endpoint.decode()
print("ready", endpoint, flush=True)
for line in sys.stdin:
    order, *words = line.split()
    if order in "+-":
        if kind == "xsub":
            socket.send((b"\x01" if order == "+" else b"\x00") + read(words[0]))
        else:
            socket.setsockopt(zmq.SUBSCRIBE if order == "+" else zmq.UNSUBSCRIBE, read(words[0]))
    elif order == ">":
        socket.send_multipart(named + [read(word) for word in words])
    else:
        frames = socket.recv_multipart()
        print(*map(show, frames[len(named) :]), flush=True)
