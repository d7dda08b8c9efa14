"""Tests of a program that uses the gateway: `pytest examples/python/pytest`."""

import asyncio
import contextlib
import json
import pathlib
import sys
import threading

import pytest
import zmq

sys.path.append(str(pathlib.Path(__file__).parents[1]))

from calls import AsyncClient, Client, Rejected

ANN = json.dumps({"id": 1, "name": "Ann"}).encode()


class Worker:
    """A DEALER worker that greets people."""

    def __init__(self, address):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.rcvtimeo = 5_000
        self.socket.connect(address)

    def request(self):
        return self.socket.recv_multipart()

    def answer(self, request):
        identity, _kind, *headers, payload = request
        name = json.loads(payload)["name"]
        self.socket.send_multipart([identity, b"REPLY", *headers, f"hello {name}".encode()])


@contextlib.contextmanager
def working(work):
    """Runs `work` on a separate thread, and waits for its end."""
    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join()


@pytest.fixture
def worker(gateway):
    worker = Worker(gateway.people)
    yield worker
    worker.socket.close(0)


def test_a_call_has_its_answer(gateway, worker):
    with Client(gateway.clients) as client, working(lambda: worker.answer(worker.request())):
        assert client.call("PERSON", ANN) == b"hello Ann"


def test_a_wrong_payload_is_rejected(gateway):
    with Client(gateway.clients) as client, pytest.raises(Rejected, match="required") as rejected:
        client.call("PERSON", b'{"id": 1}')
    assert rejected.value.by_gateway
    assert (rejected.value.reason, rejected.value.field) == ("schema_violation", "name")
    assert not rejected.value.retryable


def test_a_late_answer_is_not_taken_for_the_answer_to_another_call(gateway, worker):
    with Client(gateway.clients) as client:
        with pytest.raises(TimeoutError, match="no answer"):
            client.call("PERSON", b'{"name": "Bob"}', timeout=0.2)
        worker.answer(worker.request())
        with working(lambda: worker.answer(worker.request())):
            assert client.call("PERSON", ANN) == b"hello Ann"


def test_concurrent_calls_each_have_their_own_answer(gateway, worker):
    names = ["Ann", "Bob", "Cid"]

    def answer_the_last_first():
        first = worker.request()
        worker.answer(first)  # A worker receives only one request before its first answer.
        for request in reversed([worker.request(), worker.request()]):
            worker.answer(request)

    async def main():
        async with AsyncClient(gateway.clients) as client:
            people = [json.dumps({"name": name}).encode() for name in names]
            answers = await asyncio.gather(*(client.call("PERSON", person) for person in people))
            assert answers == [f"hello {name}".encode() for name in names]
            with pytest.raises(Rejected, match="required"):
                await client.call("PERSON", b"{}")
            with pytest.raises(TimeoutError, match="no answer"):
                await client.call("PERSON", ANN, timeout=0.2)

    with working(answer_the_last_first):
        asyncio.run(main())


def test_a_gateway_that_is_down_gets_no_request(gateway, worker):
    def work():
        for _ in range(10):
            worker.answer(worker.request())

    # No gateway listens at the second address.
    with Client(gateway.clients, "tcp://127.0.0.1:9") as client, working(work):
        for _ in range(10):
            assert client.call("PERSON", ANN) == b"hello Ann"


def test_without_a_gateway_a_call_times_out():
    with Client("tcp://127.0.0.1:9", timeout=0.1) as client:
        with pytest.raises(TimeoutError, match="no gateway is connected"):
            client.call("PERSON", ANN)
