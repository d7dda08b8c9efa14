"""A DEALER worker that leaves in peace at SIGTERM: it says BYE, answers what it gets until it hears BYE, and ends.

python leaving_worker.py ADDRESS
"""

import signal
import sys

import zmq

socket = zmq.Context().socket(zmq.DEALER)
# A signal may come at any moment, and a socket must not be used within its own use, so the handler
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
