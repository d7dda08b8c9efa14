"""Lets `from demo.person_pb2 import Person` work without generated files.

Importing grpc_tools.protoc makes Python compile NAME.proto when NAME_pb2 is imported.
"""

import pathlib
import sys

import grpc_tools.protoc  # noqa: F401

sys.path.append(str(pathlib.Path(__file__).parents[2] / "schemas"))
