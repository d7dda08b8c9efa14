"""A publisher: python publisher.py [ADDRESS]

`gateway` must run with the first routes.yaml of docs/channels.md. Publishes two persons, and then a
broken payload, which no subscriber receives.
"""

import sys

import zmq

import protos  # noqa: F401
from demo.person_pb2 import Person

# A PUB works, too, but cannot see when a subscription arrives, and drops messages before that.
socket = zmq.Context().socket(zmq.XPUB)
socket.rcvtimeo = 5_000  # milliseconds; zmq.Again after that
socket.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5561")
prefix = socket.recv()[1:].decode()
print(f'asked for "{prefix}"')

for number, name in enumerate(["Ann", "Bob"], start=1):
    person = Person(id=number, name=name, email=f"{name.lower()}@example.com")
    # The type is also the topic, so a subscription is a prefix of the type.
    socket.send_multipart([f"tick.{name}".encode(), person.SerializeToString()])
    print(f"published tick.{name}")
socket.send_multipart([b"tick.Cid", b"no person"])
print("published tick.Cid")
