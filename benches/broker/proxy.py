"""A zmq_proxy of pyzmq, whose libzmq has libsodium: proxy.py [SECRET_KEY].

With a secret key, the proxy is a CURVE server on both sides and admits every client key.
It prints the endpoint for clients, then the endpoint for workers.
"""

import sys

import zmq

context = zmq.Context()
sides = [context.socket(zmq.ROUTER), context.socket(zmq.DEALER)]
for side in sides:
    side.sndhwm = side.rcvhwm = 0
    for secret in sys.argv[1:]:
        side.curve_secretkey = secret.encode()
        side.curve_server = True
    side.bind("tcp://127.0.0.1:*")
    print(side.last_endpoint.decode(), flush=True)
zmq.proxy(*sides)
