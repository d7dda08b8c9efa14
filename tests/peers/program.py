"""Peers of every library as processes, for the cases of `libraries.py` and `channels.py`.

Each peer is a process of its own, so that it can be killed. Its arguments are `KIND connect|bind
ENDPOINT` and, for CURVE, its public key, its secret key and that of the server, which is empty if it is
the server. It prints `ready ENDPOINT`, and then obeys one line at a time: `> FRAME…` sends a message,
`<` waits for one and prints its frames, and a SUB or XSUB subscribes to a prefix with `+ FRAME` and
cancels that with `- FRAME`. A frame is `=` and hex digits, or `#` and a size, which
stands for that many bytes of a known pattern (`!` and a size stands for any other bytes).

No case depends on the speed of the machine: a peer that prints nothing in time fails its case.
"""

import os
import queue
import subprocess
import sys
import threading

import zmq

import support
from support import REPOSITORY

PATIENCE = support.PATIENCE = 20  # seconds that anything may take: the largest messages are large
PEER = REPOSITORY / "tests/peers/python/peer.py"
BUILT = REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target") / "peers"
PROGRAMS = {
    "python": [sys.executable, PEER, "zmq"],
    "pyomq": [BUILT / "pyomq/bin/python", PEER, "pyomq"],
    "node": ["node", BUILT / "node/peer.js"],
    "rust": [BUILT / "rust/debug/gateway-peer"],
}
LIBRARIES = os.environ["PEERS"].split()
# Many frames, empty ones, and the sizes at which the encoding of a length changes.
MESSAGES = [
    [b"x"],
    [b""],
    [b"", b"", b""],
    [b"h1", b"", b"\x00\xff", b"x"],
    [b"%d" % n for n in range(13)],
    [b"x" * 255],
    [b"x" * 256, b"y"],
    [8192, b"z"],
    [65_535],
    [65_536, b"", 70_000],
    [1 << 20],
]


MIB = 1 << 20
# The crate zeromq has no CURVE.
LIBRARIES_WITH_CURVE = [library for library in LIBRARIES if library != "rust"]


def key_pair():
    """Returns a public and a secret key."""
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def word(frame):
    """Returns a frame in the form in which a peer is ordered to send it. A number is a size."""
    return f"#{frame}" if isinstance(frame, int) else "=" + frame.hex()


def shown(frame):
    """Returns a frame in the form in which a peer reports it. A large one is reported by its size."""
    if frame[0] in "#!":
        assert frame[0] == "#", f"{frame[1:]} bytes, and not the ones that were sent"
        return int(frame[1:])
    return bytes.fromhex(frame[1:])


class Program:
    """A peer: a process that sends and receives on request."""

    def __init__(self, library, kind, endpoint, way="connect", keys=()):
        self.name, self.kind = f"{library} {kind}", kind
        self.process = subprocess.Popen(
            [*PROGRAMS[library], kind, way, endpoint, *keys],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        ready, self.endpoint = self._line().split()
        assert ready == "ready", ready

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")

    def _line(self):
        try:
            line = self.lines.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"{self.name} says nothing") from None
        assert line, f"{self.name} ended"
        return line

    def send(self, *frames):
        self.process.stdin.write("> " + " ".join(map(word, frames)) + "\n")

    def subscribe(self, prefix):
        self.process.stdin.write(f"+ {word(prefix)}\n")

    def cancel(self, prefix):
        self.process.stdin.write(f"- {word(prefix)}\n")

    def want(self):
        """Makes the peer receive a message, which `got` returns."""
        self.process.stdin.write("<\n")

    def got(self):
        return [shown(frame) for frame in self._line().split()]

    def has_got(self):
        """Returns whether the message that `want` asked for has arrived, after a wait of at most 20 ms."""
        try:
            line = self.lines.get(timeout=0.02)
        except queue.Empty:
            return False
        self.lines.put(line)
        return True

    def get(self):
        self.want()
        return self.got()

    def expect(self, *frames):
        got = self.get()
        assert got == list(frames), (self.name, got)

    def serve(self, *request):
        """Lets a worker receive this request, and answer with the frames after the type."""
        frames = self.get()
        token = [] if self.kind == "rep" else [frames.pop(0)]
        assert frames == list(request), (self.name, frames)
        self.send(*token, b"REPLY", *frames[1:])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.process.stdin.close()
        self.process.stdout.close()


def programs(stack, peers, endpoint, way="connect", keys=()):
    """Starts each of `peers` at the endpoint that `endpoint` returns for it, and returns the processes by peer."""
    return {it: stack.enter_context(Program(*it, endpoint(it), way, keys)) for it in peers}
