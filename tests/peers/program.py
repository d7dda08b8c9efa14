"""Peers of every library as processes, for the cases of `libraries.py` and `channels.py`.

Each peer is a separate process, so that a case can kill it. The arguments of the process are `KIND
connect|bind ENDPOINT`. For CURVE, three keys follow: the peer's public key, the peer's secret key, and
the server's public key, which is empty if the peer is the server.

The peer prints `ready ENDPOINT`, and then reads one command per line from standard input:

- `> FRAME…` sends a message.
- `<` waits for a message, and prints its frames.
- `+ FRAME` subscribes to a prefix, and `- FRAME` cancels the subscription. The peer is a SUB or XSUB.

A frame is written as `=` and hex digits. A large frame is written as `#` and its size if its bytes have
a known pattern, or else as `!` and its size.

A case fails if a peer prints nothing before the timeout.
"""

import os
import queue
import subprocess
import sys
import threading

import zmq

import support
from support import REPOSITORY

PATIENCE = support.PATIENCE = 20  # the timeout in seconds, which the largest messages need
PEER = REPOSITORY / "tests/peers/python/peer.py"
BUILT = REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target") / "peers"
PROGRAMS = {
    "python": [sys.executable, PEER, "zmq"],
    "pyomq": [BUILT / "pyomq/bin/python", PEER, "pyomq"],
    "node": ["node", BUILT / "node/peer.js"],
    "rust": [BUILT / "rust/debug/gateway-peer"],
}
LIBRARIES = os.environ["PEERS"].split()
# Messages with many frames, with empty frames, and with sizes at which the encoding of a size
# changes.
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
    """Returns a frame as it is written in a command. A number stands for a frame of this size."""
    return f"#{frame}" if isinstance(frame, int) else "=" + frame.hex()


def shown(frame):
    """Reads a frame that a peer has printed. Returns its bytes, or the size of a large frame."""
    if frame[0] in "#!":
        assert frame[0] == "#", f"{frame[1:]} bytes, but not the bytes that were sent"
        return int(frame[1:])
    return bytes.fromhex(frame[1:])


class Program:
    """A peer in another process."""

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
            raise AssertionError(f"{self.name} prints nothing") from None
        assert line, f"{self.name} has exited"
        return line

    def send(self, *frames):
        self.process.stdin.write("> " + " ".join(map(word, frames)) + "\n")

    def subscribe(self, prefix):
        self.process.stdin.write(f"+ {word(prefix)}\n")

    def cancel(self, prefix):
        self.process.stdin.write(f"- {word(prefix)}\n")

    def want(self):
        """Commands the peer to receive a message. `got` returns the message."""
        self.process.stdin.write("<\n")

    def got(self):
        return [shown(frame) for frame in self._line().split()]

    def has_got(self):
        """Waits up to 20 ms for the message after `want`, and returns whether it has arrived."""
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
        """Receives this request at a worker, and answers with the frames after the type."""
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
    """Starts every peer at the endpoint that the function `endpoint` returns for the peer. Returns the
    processes by peer."""
    return {peer: stack.enter_context(Program(*peer, endpoint(peer), way, keys)) for peer in peers}
