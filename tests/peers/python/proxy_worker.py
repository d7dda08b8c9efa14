"""A worker for a ROUTER/DEALER proxy. Only the address has been changed for the gateway.

Usage: proxy_worker.py ADDRESS
"""

import pathlib
import sys

import grpc_tools.protoc  # noqa: F401: compiles person.proto when person_pb2 is imported
import msgpack
import zmq

sys.path.append(str(pathlib.Path(__file__).parents[3] / "schemas" / "demo"))
sys.stdout.reconfigure(line_buffering=True)

import person_pb2

context = zmq.Context()


def worker():
    worker_socket = context.socket(zmq.DEALER)
    worker_socket.connect(sys.argv[1])
    print("Worker started, connecting to backend...")
    while True:
        try:
            # Receive multipart message
            identity, message_type, payload = worker_socket.recv_multipart()
            print(f"Worker received: {identity.decode()}, {message_type.decode()}, {len(payload)} bytes")
            if message_type.decode() == "PROTOBUF":
                received_person = person_pb2.Person()
                received_person.ParseFromString(payload)
                print(f"  Decoded Protobuf: ID={received_person.id}, Name={received_person.name}")
                response_payload = f"Processed Protobuf: {received_person.name}".encode()
            elif message_type.decode() == "MSGPACK":
                decoded_data = msgpack.unpackb(payload, raw=False)
                print(f"  Decoded MsgPack: ID={decoded_data['id']}, Name={decoded_data['name']}")
                response_payload = f"Processed MsgPack: {decoded_data['name']}".encode()
            else:
                response_payload = b"Unknown message type"
            # Send reply back to frontend via backend
            worker_socket.send_multipart([identity, b"REPLY", response_payload])
            print(f"Worker sent reply for {identity.decode()}")
        except zmq.Again:
            continue
        except KeyboardInterrupt:
            print("Worker shutting down.")
            break


worker()
