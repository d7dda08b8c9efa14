"""A DEALER worker that leaves in order at SIGTERM: it sends BYE, answers requests until it receives BYE, and ends.

python leaving_worker.py ADDRESS
"""

import signal
import sys

import zmq

socket = zmq.Context().socket(zmq.DEALER)
# A signal may arrive at any moment, also during a call of the socket, so the handler
# only sends a message to the loop.
asked_to_end, end = socket.context.socket(zmq.PAIR), socket.context.socket(zmq.PAIR)
end.bind("inproc://end")
asked_to_end.connect("inproc://end")
signal.signal(signal.SIGTERM, lambda *_: asked_to_end.send(b""))
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
