"""A peer for ../program.py, which describes the other arguments and the commands.

The first argument is the name of the module: zmq, or a module with the same interface.
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
# A ROUTER must name its peer to be able to send the first message.
identity = [b"gateway"] if kind == "router" else []
if identity:
    socket.setsockopt(zmq.CONNECT_ROUTING_ID, identity[0])
if way == "connect":
    socket.connect(endpoint)
else:
    socket.bind(endpoint)
    endpoint = socket.last_endpoint.decode()
print("ready", endpoint, flush=True)
for line in sys.stdin:
    command, *words = line.split()
    if command in "+-":
        if kind == "xsub":
            socket.send((b"\x01" if command == "+" else b"\x00") + read(words[0]))
        else:
            socket.setsockopt(zmq.SUBSCRIBE if command == "+" else zmq.UNSUBSCRIBE, read(words[0]))
    elif command == ">":
        socket.send_multipart(identity + [read(word) for word in words])
    else:
        frames = socket.recv_multipart()
        print(*map(show, frames[len(identity) :]), flush=True)
