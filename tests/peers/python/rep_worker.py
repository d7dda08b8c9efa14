"""A REP worker that exits after its next answer once it has received SIGTERM.

Usage: rep_worker.py ENDPOINT NAME. It prints "ready" once it handles SIGTERM, and answers with NAME.
"""

import signal
import sys

import zmq

endpoint, name = sys.argv[1:]
terminated = []
signal.signal(signal.SIGTERM, lambda *_: terminated.append(True))
context = zmq.Context()
socket = context.socket(zmq.REP)
socket.connect(endpoint)
print("ready", flush=True)
while not terminated:
    _kind, *headers, _payload = socket.recv_multipart()
    socket.send_multipart([b"REPLY", *headers, name.encode()])
# `term` waits until the last answer has been sent.
socket.close()
context.term()
