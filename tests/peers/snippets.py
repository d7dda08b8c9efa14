"""The clients to copy of examples/, run as their first lines say: tests/peers/snippets.sh runs it.

SNIPPETS has the command of each that can be run here.
"""

import json
import os
import subprocess
import sys

from support import PATIENCE, REPOSITORY, Gateway, case, run

ROUTES = """
frontends:
  clients: { bind: "tcp://127.0.0.1:0" }
pools:
  people: { bind: "tcp://127.0.0.1:0" }
routes:
  PERSON: { schema: { json: demo.Person, require: [name] }, pool: people }
"""


def calls_are_answered_out_of_order(command):
    """Three concurrent calls, whose answers arrive in another order, and one call that is rejected."""
    with Gateway(ROUTES) as gateway:
        # Nobody listens at the second address.
        addresses = [gateway.endpoints["clients"], "tcp://127.0.0.1:9"]
        client = subprocess.Popen(
            [*command, *addresses], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        gateway.children.append(client)
        worker = gateway.worker()

        def answer(request):
            identity, _kind, *headers, payload = request
            name = json.loads(payload)["name"]
            worker.send(identity, b"REPLY", *headers, f"hello {name}".encode())

        answer(worker.get())  # a worker gets one request until it has answered one
        for request in reversed([worker.get(), worker.get()]):
            answer(request)
        out, err = client.communicate(timeout=PATIENCE)
        *answers, rejected = out.splitlines()
        assert answers == [f"{name}: hello {name}" for name in ("Ann", "Bob", "Cid")], out + err
        assert rejected.startswith("rejected, ") and "required" in rejected, out + err
        assert client.returncode == 0, err


def register(name, command):
    def works():
        calls_are_answered_out_of_order(command)

    works.__name__ = f"the_client_in_{name}_works"
    case(works)


for name, command in json.loads(os.environ["SNIPPETS"]).items():
    register(name, command)


@case
def the_clients_in_python_and_the_pytest_fixture_work():
    tests = REPOSITORY / "examples/python/pytest"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=5 * PATIENCE)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "6 passed" in ran.stdout, ran.stdout


if __name__ == "__main__":
    run()
