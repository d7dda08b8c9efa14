"""The parts that all cases in this folder use: a gateway process, peers with timeouts, and a runner."""

import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import grpc_tools.protoc  # noqa: F401: compiles NAME.proto when NAME_pb2 is imported
import msgpack
import zmq

REPOSITORY = pathlib.Path(__file__).parents[2]
sys.path.append(str(REPOSITORY / "schemas"))

from gateway.v1.error_pb2 import Error

PATIENCE = 5  # the timeout of every wait, in seconds
# The engine in the routes.yaml of every gateway.
ENGINE = os.environ.get("GATEWAY_TEST_ENGINE", "native")

CODES = {
    "malformed": 3,
    "unknown_type": 12,
    "schema_violation": 3,
    "too_large": 3,
    "not_allowed": 7,
    "rate_limited": 8,
    "client_limit": 8,
    "queue_full": 8,
    "no_worker": 14,
    "worker_lost": 14,
    "timeout": 4,
    "bad_reply": 13,
    "rule_failed": 13,
    "shutting_down": 14,
}

# The possible outcomes of a request, with their names in the log line `stopped`.
OUTCOMES = ("answered", "published", "rejected", "client_gone", "client_slow")
# The ledger for a gateway that the test has killed, and that therefore has not logged its counts.
EMPTY_LEDGER = dict.fromkeys(("received", *OUTCOMES), 0)


class Gateway:
    """A gateway process on free ports, and peers to it.

    If the `with` block ends without an exception, the gateway is shut down: it must exit with code 0, and
    its counts, which `ledger` has, must balance.
    """

    def __init__(self, routes, schemas=REPOSITORY / "schemas", files=None):
        """`files` are the texts of the other files in the directory of routes.yaml."""
        self.directory = tempfile.TemporaryDirectory()
        path = self.file = pathlib.Path(self.directory.name, "routes.yaml")
        proto = f"proto: {{ import_paths: [{json.dumps(str(schemas))}] }}\n" if schemas else ""
        path.write_text(f"engine: {ENGINE}\n{routes}\n{proto}")
        for name, text in (files or {}).items():
            pathlib.Path(self.directory.name, name).write_text(text)
        self.context = zmq.Context()
        self.children = []
        self._start()

    def _start(self):
        environment = {name: value for name, value in os.environ.items() if name != "RUST_LOG"}
        self.process = subprocess.Popen(
            [os.environ["GATEWAY"], "--config", self.file, "--log-format", "json"],
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self.ledger = None
        self.log = queue.Queue()
        reads = (self.process.stderr, self.log)
        threading.Thread(target=self._read_log, args=reads, daemon=True).start()
        self.endpoints = {}
        for line in self.lines_until("ready"):
            if "endpoint" in line:
                role, *_, name = line["message"].removesuffix(" listens").split()
                if role in ("publisher", "subscriber"):  # side of channel NAME
                    name = f"{name}.{role}s"
                self.endpoints[name] = line["endpoint"]

    @staticmethod
    def _read_log(stderr, log):
        with stderr:
            for line in stderr:
                log.put(json.loads(line))
        log.put(None)

    def restart(self):
        """Kills the gateway without a shutdown, and starts it on the same addresses."""
        self.process.kill()
        self.process.wait()
        text = self.file.read_text()
        for name, endpoint in self.endpoints.items():
            text = re.sub(rf'(\b{name}: {{ bind: ")[^"]*', rf"\g<1>{endpoint}", text)
        self.file.write_text(text)
        self._start()

    def lines_until(self, message):
        """Returns the lines of the log through the first line whose message begins with `message`."""
        lines = []
        while True:
            line = self.log.get(timeout=PATIENCE)
            assert line is not None, f"the gateway has exited: {lines}"
            lines.append(line)
            if line["message"].startswith(message):
                return lines

    def client(self, kind=zmq.DEALER, at="clients", **options):
        return Peer(self.context, kind, self.endpoints[at], options)

    def worker(self, kind=zmq.DEALER, at="people", **options):
        return Peer(self.context, kind, self.endpoints[at], options)

    def program(self, path, *arguments):
        """Starts a Python program in another process."""
        process = subprocess.Popen(
            [sys.executable, REPOSITORY / path, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.children.append(process)
        return process

    def signal(self, which=signal.SIGTERM):
        self.process.send_signal(which)

    def end(self):
        """Waits until the gateway has exited, and returns the exit code. A signal must have been sent."""
        code = self.process.wait(timeout=PATIENCE)
        while (line := self.log.get(timeout=PATIENCE)) is not None:
            if line["message"] == "stopped":
                self.ledger = line
        return code

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        try:
            if failure is None:
                if self.process.poll() is None:
                    self.signal()
                if self.ledger is None:
                    assert self.end() == 0, "exit code"
                counts = self.ledger
                assert counts["received"] == sum(counts[name] for name in OUTCOMES), counts
        finally:
            for process in [self.process, *self.children]:
                process.kill()
                process.wait()
                for pipe in (process.stdout, process.stderr):
                    if pipe and process is not self.process:
                        pipe.close()
            self.context.destroy(linger=0)
            self.directory.cleanup()


class Peer:
    """A socket with timeouts."""

    def __init__(self, context, kind, endpoint, options):
        self.socket = context.socket(kind)
        self.socket.linger = 0
        self.socket.rcvtimeo = self.socket.sndtimeo = PATIENCE * 1000
        for option, value in options.items():
            self.socket.setsockopt(getattr(zmq, option), value)
        self.socket.connect(endpoint)

    def send(self, *frames):
        self.socket.send_multipart(frames)

    def get(self):
        return self.socket.recv_multipart()

    def ask(self, *frames):
        self.send(*frames)
        return self.get()

    def expect(self, *frames):
        got = self.get()
        assert got == list(frames), got

    def take(self, identity, *frames):
        """Receives a request of the client with this identity at a worker, and returns the token."""
        token, *got = self.get()
        name, number = token.split(b"#")
        assert name == identity and number.isdigit(), token
        assert got == list(frames), got
        return token

    def close(self):
        self.socket.close()


def exchange(client, worker, *frames, answer=b"done"):
    """Sends one request, answers it at the worker, and returns the answer that the client receives."""
    client.send(*frames)
    return serve_until(client, worker, answer)


def serve_until(client, worker, answer=b"done"):
    """Answers requests at the worker until the client receives a message, and returns this message."""
    poller = zmq.Poller()
    poller.register(client.socket, zmq.POLLIN)
    poller.register(worker.socket, zmq.POLLIN)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        ready = dict(poller.poll(PATIENCE * 1000))
        if worker.socket in ready:
            identity, _kind, *headers, _payload = worker.get()
            worker.send(identity, b"REPLY", *headers, answer)
        if client.socket in ready:
            return client.get()
    raise AssertionError("no answer")


def rejection(frames, encoding="json or msgpack", headers=()):
    """Asserts that `frames` are a rejection by the gateway, and returns the decoded error."""
    kind, *got, payload = frames
    assert kind == b"ERROR", frames
    assert got == list(headers), got
    if encoding == "protobuf":
        error = Error.FromString(payload)
        offset = error.offset if error.HasField("offset") else None
        decoded = {"offset": offset} if offset is not None else {}
        for field in ("code", "message", "reason", "field", "generation"):
            if value := getattr(error, field):
                decoded[field] = value
    elif encoding == "json" or (encoding != "msgpack" and payload.startswith(b"{")):
        decoded = json.loads(payload)
    else:
        decoded = msgpack.unpackb(payload)
    assert decoded["code"] == CODES[decoded["reason"]], decoded
    assert decoded["generation"] == 1, decoded
    assert decoded["message"], decoded
    return decoded


def refused(reason, frames, encoding="json or msgpack", headers=()):
    """Does the same as `rejection`, and asserts the reason."""
    decoded = rejection(frames, encoding, headers)
    assert decoded["reason"] == reason, decoded
    return decoded


CASES = []


def case(function=None, *, fails=None):
    """Registers a test. `fails` is the reason why the test is known to fail."""
    if function is None:
        return lambda function: case(function, fails=fails)
    CASES.append((function, fails))
    return function


def run():
    """Runs the cases in the arguments, or all cases if there are no arguments."""
    passed, failed, known = 0, 0, 0
    for function, fails in CASES:
        name = function.__name__
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        trace = None
        try:
            signal.signal(signal.SIGALRM, overdue)
            signal.alarm(6 * PATIENCE)
            function()
        except Exception:
            trace = traceback.format_exc()
        finally:
            signal.alarm(0)
        if fails and trace:
            known += 1
            print(f"known   {name}: {fails}")
        elif fails:
            failed += 1
            print(f"FAILED  {name}: the case passes now: remove `fails` from it")
        elif trace:
            failed += 1
            print(f"FAILED  {name}\n{trace}")
        else:
            passed += 1
            print(f"ok      {name}")
    print(f"{passed} passed, {failed} failed" + (f", {known} known to fail" if known else ""))
    sys.exit(failed > 0)


def overdue(*_):
    raise TimeoutError("the case takes too long")
