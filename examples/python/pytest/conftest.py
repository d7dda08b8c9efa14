"""A fixture to copy, which runs a gateway for a test: `def test_it(gateway): …`.

It needs pytest, pyzmq and the program `gateway`. Each test gets a gateway of its own, on free ports.
Set GATEWAY to the program if it is not on the PATH.
"""

import json
import os
import subprocess
import threading

import pytest

# With port 0, the system chooses a port, which the gateway logs.
ROUTES = """
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0", timeout: 5s } }
routes: { PERSON: { schema: { json: demo.Person, require: [name] }, pool: people } }
"""

PERSON = """
syntax = "proto3"; package demo;
message Person { int32 id = 1; string name = 2; }
"""


class Gateway:
    """A running gateway. `clients` and `people` are its addresses."""

    def __init__(self, directory):
        (directory / "schemas").mkdir()
        (directory / "schemas/person.proto").write_text(PERSON)
        (directory / "routes.yaml").write_text(ROUTES)
        self.process = subprocess.Popen(
            [os.environ.get("GATEWAY", "gateway"), "--log-format", "json"],
            cwd=directory,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log = []
        for line in self.process.stderr:
            entry = json.loads(line)
            self.log.append(entry)
            if entry["message"].endswith(" listens"):
                setattr(self, entry["message"].split()[1], entry["endpoint"])
            if entry["message"] == "ready":
                break
        else:
            raise RuntimeError(f"the gateway did not start: {self.log}")
        # The rest of the log is read, too, because the gateway drops lines once the pipe is full.
        reader = threading.Thread(target=self.log.extend, args=[map(json.loads, self.process.stderr)])
        reader.daemon = True
        reader.start()

    def end(self):
        self.process.terminate()
        assert self.process.wait(timeout=20) == 0, self.log


@pytest.fixture
def gateway(tmp_path):
    gateway = Gateway(tmp_path)
    yield gateway
    gateway.end()
