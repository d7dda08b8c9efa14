"""A REP worker that ends at SIGTERM as soon as it has answered the request that it holds.

Usage: rep_worker.py ENDPOINT NAME. It prints "ready" once it handles SIGTERM, and answers with NAME.
"""

import signal
import sys

import zmq

endpoint, name = sys.argv[1:]
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(True))
context = zmq.Context()
socket = context.socket(zmq.REP)
socket.connect(endpoint)
print("ready", flush=True)
while not told:
    _kind, *headers, _payload = socket.recv_multipart()
    socket.send_multipart([b"REPLY", *headers, name.encode()])
# Waits until the last answer is sent.
socket.close()
context.term()
