"""A DEALER worker that leaves its pool after SIGTERM without losing a request.

It sends BYE, answers requests until it receives BYE, and then exits. Usage: leaving_worker.py ADDRESS
"""

import signal
import sys

import zmq

socket = zmq.Context().socket(zmq.DEALER)
# A signal may arrive at any time, even while the loop uses the socket. So the handler uses another
# socket to wake the loop.
terminated, end = socket.context.socket(zmq.PAIR), socket.context.socket(zmq.PAIR)
end.bind("inproc://end")
terminated.connect("inproc://end")
signal.signal(signal.SIGTERM, lambda *_: terminated.send(b""))
socket.connect(sys.argv[1])
print("ready", flush=True)

poller = zmq.Poller()
poller.register(socket, zmq.POLLIN)
poller.register(end, zmq.POLLIN)
while True:
    ready = dict(poller.poll())
    if end in ready:
        end.recv()
        socket.send(b"BYE")
    if socket in ready:
        frames = socket.recv_multipart()
        if frames == [b"BYE"]:
            break
        identity, kind, *headers, payload = frames
        socket.send_multipart([identity, b"REPLY", *headers, payload])
