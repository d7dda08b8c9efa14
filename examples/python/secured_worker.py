"""A worker with a key: python secured_worker.py [NAME.key_secret [gateway.key [ADDRESS]]].

docs/security.md shows how to make the keys. The first frame of a request is a token, which begins
with the name of the client.
"""

import sys

import zmq
import zmq.auth

given, usual = sys.argv[1:], ["worker-1.key_secret", "gateway.key", "tcp://127.0.0.1:5560"]
own, gateways, address = given + usual[len(given) :]

socket = zmq.Context().socket(zmq.DEALER)
socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(own)
socket.curve_serverkey, _ = zmq.auth.load_certificate(gateways)
socket.connect(address)
print(f"working for {address}", flush=True)

while True:
    token, kind, *headers, payload = socket.recv_multipart()
    client = token.decode().partition("#")[0]
    answer = f"{payload.decode()}, {client}"
    socket.send_multipart([token, b"REPLY", *headers, answer.encode()])
