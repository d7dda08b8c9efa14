"""Clients to copy, for threads and for asyncio. They need only pyzmq.

    with Client("tcp://127.0.0.1:5559") as client:
        answer = client.call("PERSON", b'{"name": "Ann"}')

    async with AsyncClient("tcp://127.0.0.1:5559") as client:
        answers = await asyncio.gather(*(client.call("PERSON", person) for person in people))

A call sends a request and returns its one answer. Each request carries a number as a header, which
the gateway and the workers return. Answers may therefore arrive in any order, and a late answer is
never taken for the answer to another request. With several addresses, each request goes to a
gateway that is connected.
"""

import asyncio
import itertools
import json
import time

import zmq
import zmq.asyncio


class Rejected(Exception):
    """The answer is an ERROR, from the gateway or from the worker itself."""

    def __init__(self, payload):
        try:
            details = json.loads(payload)
        except ValueError:
            details = None  # The payload is not JSON, but in the encoding of the request.
        self.payload = payload
        self.details = details if isinstance(details, dict) else {}
        self.by_gateway = self.details.get("domain") == "gateway"
        self.reason = self.details.get("reason")  # such as schema_violation, timeout or worker_lost
        self.field = self.details.get("field")
        self.retryable = bool(self.details.get("retryable"))
        super().__init__(self.details.get("message") or repr(payload))


def _connected(context, addresses):
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    # Otherwise, a socket with several addresses queues every second request for a gateway that is
    # down.
    socket.immediate = 1
    for address in addresses:
        socket.connect(address)
    return socket


def _frames(kind, number, payload):
    return [kind.encode(), str(number).encode(), payload]


def _number_and_answer(frames):
    """Returns the number of an answer, and its payload or, for an ERROR, the exception to raise."""
    kind, *headers, payload = frames
    number = int(headers[-1]) if headers else None
    return number, Rejected(payload) if kind == b"ERROR" else payload


class Client:
    """A client for one call at a time, which belongs to one thread."""

    def __init__(self, *addresses, timeout=30):
        self._socket = _connected(zmq.Context.instance(), addresses)
        self._numbers = itertools.count(1)
        self._timeout = timeout

    def call(self, kind, payload, timeout=None):
        """Returns the payload of the answer.

        Raises Rejected, or TimeoutError after `timeout` seconds.
        """
        number = next(self._numbers)
        deadline = time.monotonic() + (timeout or self._timeout)
        self._await(zmq.POLLOUT, deadline, "no gateway is connected")
        self._socket.send_multipart(_frames(kind, number, payload))
        while True:
            self._await(zmq.POLLIN, deadline, "no answer")
            answered, answer = _number_and_answer(self._socket.recv_multipart())
            if answered != number:
                continue  # This is a late answer to a call that has timed out.
            if isinstance(answer, Rejected):
                raise answer
            return answer

    def _await(self, event, deadline, what):
        left = max(0, deadline - time.monotonic())
        if not self._socket.poll(left * 1_000, event):
            raise TimeoutError(what)

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class AsyncClient:
    """A client for concurrent calls, which belongs to one event loop."""

    def __init__(self, *addresses, timeout=30):
        self._socket = _connected(zmq.asyncio.Context.instance(), addresses)
        self._numbers = itertools.count(1)
        self._timeout = timeout
        self._waiting = {}
        self._reader = asyncio.ensure_future(self._read())

    async def call(self, kind, payload, timeout=None):
        """Returns the payload of the answer.

        Raises Rejected, or TimeoutError after `timeout` seconds.
        """
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            send_and_wait = self._send_and_wait(_frames(kind, number, payload), answer)
            return await asyncio.wait_for(send_and_wait, timeout or self._timeout)
        except asyncio.TimeoutError as error:  # the built-in TimeoutError only since Python 3.11
            raise TimeoutError("no answer") from error
        finally:
            del self._waiting[number]

    async def _send_and_wait(self, frames, answer):
        await self._socket.send_multipart(frames)
        return await answer

    async def _read(self):
        while True:
            number, answer = _number_and_answer(await self._socket.recv_multipart())
            waiting = self._waiting.get(number)
            if waiting is None or waiting.done():
                continue  # This is a late answer to a call that has timed out.
            if isinstance(answer, Rejected):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)

    async def close(self):
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        self._socket.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()
