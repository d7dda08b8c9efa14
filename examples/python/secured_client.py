"""A client with a key: python secured_client.py [NAME.key_secret [gateway.key [ADDRESS]]].

docs/security.md shows how to make the keys. If the gateway does not know the client's key, the
client receives no answer, and the gateway logs the reason.
"""

import sys

import zmq
import zmq.auth

given, usual = sys.argv[1:], ["alice.key_secret", "gateway.key", "tcp://127.0.0.1:5559"]
own, gateways, address = given + usual[len(given) :]

socket = zmq.Context().socket(zmq.DEALER)
socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(own)
socket.curve_serverkey, _ = zmq.auth.load_certificate(gateways)
socket.rcvtimeo = 5_000  # milliseconds; zmq.Again after that
socket.linger = 0
socket.connect(address)

socket.send_multipart([b"GREETING", b"hello"])
reply, *_headers, payload = socket.recv_multipart()
print(f"{reply.decode()} {payload.decode()}")
