"""A zmq.proxy from XSUB to XPUB, which the ZeroMQ guide calls a forwarder.

The arguments are `connect|bind ENDPOINT` for the side of publishers, and then the same for the side of
subscribers. The program prints `ready` and both endpoints.
"""

import sys

import zmq

context = zmq.Context()
from_way, from_endpoint, to_way, to_endpoint = sys.argv[1:]
endpoints = []
sockets = []
for kind, way, endpoint in ((zmq.XSUB, from_way, from_endpoint), (zmq.XPUB, to_way, to_endpoint)):
    socket = context.socket(kind)
    if way == "connect":
        socket.connect(endpoint)
    else:
        socket.bind(endpoint)
        endpoint = socket.last_endpoint.decode()
    sockets.append(socket)
    endpoints.append(endpoint)
print("ready", *endpoints, flush=True)
zmq.proxy(*sockets)
