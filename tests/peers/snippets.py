"""Tests of the clients in examples/ that users copy, and of the commands of docs/security.md.

The clients run as their first lines say. tests/peers/snippets.sh runs this file, with three variables:
SNIPPETS has the command of each client that this machine can run, SECURED has the languages of the programs
of docs/security.md that it can run, and INSTALLED is the directory of the packages that the programs need.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap

from support import ENGINE, PATIENCE, REPOSITORY, Gateway, case, run

ROUTES = """
frontends:
  clients: { bind: "tcp://127.0.0.1:0" }
pools:
  people: { bind: "tcp://127.0.0.1:0" }
routes:
  PERSON: { schema: { json: demo.Person, require: [name] }, pool: people }
"""


def calls_are_answered_out_of_order(command):
    """Answers three concurrent calls out of order, and rejects a fourth call."""
    with Gateway(ROUTES) as gateway:
        # No program listens at the second address.
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

        answer(worker.get())  # a worker receives only one request before its first answer
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


SECURITY = (REPOSITORY / "docs/security.md").read_text()
INSTALLED = pathlib.Path(os.environ["INSTALLED"])
# The program that only the commands of this language run.
COMMANDS = {"python": "python", "node": "node", "c": "cc", "rust": "cargo"}
# The commands that install what snippets.sh has installed.
INSTALLERS = ("pip", "npm", "sudo")


def blocks(language):
    """Returns the blocks of docs/security.md in this language, without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", SECURITY, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, block in found]


class Programs:
    """The client and the worker of a language, which the commands of docs/security.md build and run."""

    def __init__(self, lines):
        self.printed = lines[-1] + "\n"
        commands = [shlex.split(line) for line in lines if line.startswith("$ ")]
        commands = [words for _, *words in commands if words[0] not in INSTALLERS]
        *self.builds, self.worker, self.client = commands
        assert self.worker.pop() == "&", self.worker


class Reader:
    """A reader who follows docs/security.md in a separate directory, with the files of examples/."""

    def __init__(self, directory):
        self.here = pathlib.Path(directory)
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
        cargo = {"CARGO_TARGET_DIR": str(INSTALLED / "rust"), "CARGO_TERM_QUIET": "true"}
        self.environment = {**os.environ, "PATH": path, **cargo}
        for name in ("python", "node", "c", "rust"):
            ignored = shutil.ignore_patterns("target", "pytest", "__pycache__")
            shutil.copytree(REPOSITORY / "examples" / name, self.here, ignore=ignored, dirs_exist_ok=True)
        (self.here / "node_modules").symlink_to(INSTALLED / "node_modules")
        keygen = f"{os.path.abspath(os.environ['GATEWAY'])} keygen"
        self.run(["sh", "-ec", blocks("sh")[0].replace("gateway keygen", keygen)])

    def run(self, command):
        subprocess.run(command, cwd=self.here, env=self.environment, check=True, stdout=subprocess.PIPE)

    def programs(self):
        """Returns the programs by language, built."""
        found = {}
        for block in blocks("console"):
            if "secured_client" in block:
                language = next(it for it, word in COMMANDS.items() if f"$ {word} " in block)
                found[language] = Programs(block.splitlines())
        assert list(found) == list(COMMANDS), found
        found = {it: programs for it, programs in found.items() if it in os.environ["SECURED"].split()}
        for programs in found.values():
            for build in programs.builds:
                self.run(build)
        return found

    def gateway(self):
        routes = blocks("yaml")[0].replace("keys/", f"{self.here}/keys/")
        return Gateway(re.sub(r"tcp://\*:\d+", "tcp://127.0.0.1:0", routes))

    def start(self, command, gateway):
        addresses = {
            "tcp://localhost:5559": gateway.endpoints["clients"],
            "tcp://localhost:5560": gateway.endpoints["people"],
        }
        process = subprocess.Popen(
            [addresses.get(word, word) for word in command],
            cwd=self.here,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        gateway.children.append(process)
        return process


def register_worker(language, reader, programs):
    def serves():
        with reader.gateway() as gateway:
            worker = reader.start(programs[language].worker, gateway)
            assert worker.stdout.readline().startswith("working for tcp://"), worker.stderr.read()
            for each in programs.values():
                client = reader.start(each.client, gateway)
                out, err = client.communicate(timeout=2 * PATIENCE)
                assert out == each.printed == "REPLY hello, alice\n", (each.client, out, err)

    serves.__name__ = f"a_worker_with_a_key_in_{language}_serves_clients_in_every_language"
    case(serves)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        if ENGINE == "native":
            reader = Reader(directory)
            programs = reader.programs()
            for language in programs:
                register_worker(language, reader, programs)
        run()
