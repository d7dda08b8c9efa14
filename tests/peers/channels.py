"""Tests of channels with publishers and subscribers of every library, alone and with a real zmq.proxy in between.

libraries.py runs them with its own cases.
"""

import contextlib
import json
import subprocess
import sys

from program import LIBRARIES, LIBRARIES_WITH_CURVE, MESSAGES, MIB, Program, key_pair, programs
from support import REPOSITORY, Gateway, case

from demo.person_pb2 import Person

PUBLISHERS = [(library, kind) for library in LIBRARIES for kind in ("pub", "xpub")]
SUBSCRIBERS = [(library, kind) for library in LIBRARIES for kind in ("sub", "xsub")]

LISTEN = '"tcp://127.0.0.1:0"'
ROUTES = """
routes:
  RAW.*: { publish: all }
  PERSON: { schema: demo.Person, publish: all }
"""


def channel(settings="", publishers=LISTEN, subscribers=LISTEN):
    """A gateway with nothing but a channel, which forwards every type that begins with RAW."""
    both = f"publishers: {publishers}, subscribers: {subscribers}"
    return Gateway(f"channels: {{ all: {{ {both}, {settings} }} }}\n{ROUTES}")


def callers(endpoints):
    """The configuration of one side of a channel, which connects to these addresses."""
    return "{ connect: [" + ", ".join(f'"{it}"' for it in endpoints) + "] }"


class Proxy:
    """Starts a process with a zmq.proxy from XSUB to XPUB."""

    def __init__(self, publishers=("bind", "tcp://127.0.0.1:*"), subscribers=("bind", "tcp://127.0.0.1:*")):
        program = REPOSITORY / "tests/peers/python/proxy.py"
        self.process = subprocess.Popen(
            [sys.executable, program, *publishers, *subscribers], stdout=subprocess.PIPE, text=True
        )
        ready, self.publishers, self.subscribers = self.process.stdout.readline().split()
        assert ready == "ready", ready

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@contextlib.contextmanager
def peers_at(publishers_at, subscribers_at, publishers=PUBLISHERS, subscribers=SUBSCRIBERS):
    """Publishers and subscribers of every library that connect to these endpoints."""
    with contextlib.ExitStack() as stack:
        subscribers = programs(stack, subscribers, lambda _: subscribers_at)
        publishers = programs(stack, publishers, lambda _: publishers_at)
        yield list(publishers.values()), list(subscribers.values())


def ends(gateway):
    return gateway.endpoints["all.publishers"], gateway.endpoints["all.subscribers"]


def meet(publishers, subscribers, prefix=b"RAW.x", frames="typed"):
    """Publishes until each subscriber has received a message of each publisher, and receives all of them.

    The subscribers have this prefix, and publishers are asked for it. `frames` is that of the channel.
    """
    kind = prefix or b"RAW.x"
    question, end = [kind, b"do you hear me?"], [kind, b"then listen"]
    if frames == "single":
        question, end = [b" ".join(question)], [b" ".join(end)]
    for publisher in publishers:
        if publisher.name == "rust xpub":
            # An XPUB processes subscriptions only while they are received. A subscriber of libzmq
            # that connects again still has its subscriptions, and the XPUB reports nothing.
            while publisher.get() != [b"\x01" + prefix]:
                pass
        for subscriber in subscribers:
            subscriber.want()
        waiting = list(subscribers)
        while waiting:
            # A PUB drops messages without a subscription, and does not report subscriptions.
            publisher.send(*question)
            waiting = [it for it in waiting if not it.has_got()]
        publisher.send(*end)
        for subscriber in subscribers:
            got = subscriber.got()
            while got != end:
                assert got == question, (subscriber.name, got)
                got = subscriber.get()


def publish(publisher, subscribers, *frames):
    """Publishes a message, which each subscriber receives next."""
    publisher.send(*frames)
    for subscriber in subscribers:
        try:
            subscriber.expect(*frames)
        except AssertionError as error:
            error.add_note(f"from {publisher.name}")
            raise


def subscribe_all(subscribers, prefix):
    for subscriber in subscribers:
        subscriber.subscribe(prefix)


@case
def every_publisher_reaches_every_subscriber():
    with channel() as gateway, peers_at(*ends(gateway)) as (publishers, subscribers):
        subscribe_all(subscribers, b"RAW.x")
        meet(publishers, subscribers)
        for publisher in publishers:
            for message in MESSAGES:
                publisher.send(b"RAW.other", b"nobody asked for this")
                publish(publisher, subscribers, b"RAW.x", *message)
    counts = gateway.ledger
    assert counts["rejected"] == 0, counts


@case
def an_invalid_message_reaches_nobody():
    with channel() as gateway, peers_at(*ends(gateway)) as (publishers, subscribers):
        subscribe_all(subscribers, b"")
        meet(publishers, subscribers, b"")
        for publisher in publishers:
            person = Person(name=publisher.name).SerializeToString()
            publisher.send(b"PERSON", b"\xff")
            publisher.send(b"PIGEON", b"coo")
            publisher.send(b"RAW.no payload")
            publish(publisher, subscribers, b"PERSON", b"h", person)
    assert gateway.ledger["rejected"] == 3 * len(PUBLISHERS), gateway.ledger


@case
def a_cancelled_subscription_ends_and_the_others_stay():
    with channel() as gateway, peers_at(*ends(gateway)) as (publishers, subscribers):
        subscribe_all(subscribers, b"RAW.x")
        subscribe_all(subscribers, b"RAW.y")
        meet(publishers, subscribers)
        for subscriber in subscribers:
            subscriber.cancel(b"RAW.y")
        # The gateway has taken a cancellation once it has taken the subscription after it.
        subscribe_all(subscribers, b"RAW.z")
        meet(publishers, subscribers, b"RAW.z")
        for publisher in publishers:
            publisher.send(b"RAW.y", b"cancelled")
            publish(publisher, subscribers, b"RAW.x", b"kept")


@case
def a_late_subscriber_first_receives_the_kept_values():
    with channel("keep: last") as gateway, contextlib.ExitStack() as stack:
        publishers_at, subscribers_at = ends(gateway)
        publishers = list(programs(stack, PUBLISHERS, lambda _: publishers_at).values())
        first = stack.enter_context(Program(LIBRARIES[0], "sub", subscribers_at))
        first.subscribe(b"")
        meet(publishers, [first], b"")
        for it in SUBSCRIBERS:
            for publisher in publishers:
                for kind in (b"RAW.late.a", b"RAW.late.b"):
                    last = [publisher.name.encode(), b"for " + it[0].encode()]
                    publish(publisher, [first], kind, *last)
            with Program(*it, subscribers_at) as late:
                late.subscribe(b"RAW.late.")
                late.expect(b"RAW.late.a", *last)
                late.expect(b"RAW.late.b", *last)
                for publisher in publishers:
                    publish(publisher, [first, late], b"RAW.late.a", b"live")


@case
def peers_that_listen_are_connected_to():
    with contextlib.ExitStack() as stack:
        at = lambda _: "tcp://127.0.0.1:0"
        subscribers = programs(stack, SUBSCRIBERS, at, "bind").values()
        publishers = programs(stack, PUBLISHERS, at, "bind").values()
        subscribe_all(subscribers, b"RAW.x")
        sides = [callers(it.endpoint for it in peers) for peers in (publishers, subscribers)]
        with channel("", *sides):
            meet(publishers, subscribers)
            for publisher in publishers:
                publish(publisher, subscribers, b"RAW.x", b"h", b"x")


@case
def a_channel_works_behind_and_before_a_proxy():
    """A channel between a zmq.proxy that has the publishers and one that has the subscribers."""
    with contextlib.ExitStack() as stack:
        behind, before = (stack.enter_context(Proxy()) for _ in range(2))
        sides = callers([behind.subscribers]), callers([before.publishers])
        stack.enter_context(channel("", *sides))
        peers = peers_at(behind.publishers, before.subscribers)
        publishers, subscribers = stack.enter_context(peers)
        subscribe_all(subscribers, b"")
        meet(publishers, subscribers, b"")
        for publisher in publishers:
            publisher.send(b"PERSON", b"\xff")
            publish(publisher, subscribers, b"RAW.x", b"h", b"x")


@case
def a_proxy_that_connects_is_a_peer_like_others():
    """A zmq.proxy between two channels."""
    with channel() as first, channel() as second:
        from_first = ("connect", first.endpoints["all.subscribers"])
        to_second = ("connect", second.endpoints["all.publishers"])
        with (
            Proxy(from_first, to_second),
            peers_at(first.endpoints["all.publishers"], second.endpoints["all.subscribers"]) as peers,
        ):
            publishers, subscribers = peers
            subscribe_all(subscribers, b"RAW.x")
            meet(publishers, subscribers)
            for publisher in publishers:
                publish(publisher, subscribers, b"RAW.x", b"h", b"x")


@case
def a_proxy_is_replaced_without_touching_a_peer():
    """The peers stay the same, while the process that listens at their two addresses is replaced."""
    # Those of the crate zeromq do not connect again.
    publishers = [it for it in PUBLISHERS if it[0] != "rust"]
    with Proxy() as proxy:
        peers = peers_at(proxy.publishers, proxy.subscribers, publishers)
        with peers as (publishers, subscribers):
            subscribe_all(subscribers, b"RAW.x")
            subscribe_all(subscribers, b"PERSON")
            meet(publishers, subscribers)
            for publisher in publishers:
                publish(publisher, subscribers, b"RAW.x", b"h", b"x")
                publish(publisher, subscribers, b"PERSON", b"\xff")
            proxy.process.kill()
            proxy.process.wait()
            with channel("", f'"{proxy.publishers}"', f'"{proxy.subscribers}"'):
                meet(publishers, subscribers)
                for publisher in publishers:
                    publisher.send(b"PERSON", b"\xff")
                    publish(publisher, subscribers, b"RAW.x", b"h", b"x")


@case
def single_frames_pass_as_they_are():
    """Messages in the style of the ZeroMQ guide: publishers send topic and payload in one frame."""
    with channel("frames: single") as gateway, peers_at(*ends(gateway)) as (publishers, subscribers):
        subscribe_all(subscribers, b"")
        meet(publishers, subscribers, b"", frames="single")
        for publisher in publishers:
            publisher.send(b"PERSON \xff")
            publisher.send(b"RAW.x", b"two frames")
            publish(publisher, subscribers, b"PERSON " + Person(name="Ann").SerializeToString())
            publish(publisher, subscribers, b"RAW.x 25.3 degrees")


class Keys:
    """The keys of a gateway, of all publishers and of all subscribers."""

    def __init__(self):
        (self.ours, self.secret), self.publishers, self.subscribers = (key_pair() for _ in range(3))

    def side(self, side, endpoints, known="peers"):
        """Returns the configuration of one side of a channel, which listens or connects to endpoints."""
        public, _ = getattr(self, side)
        admitted = {side: public} if known == "peers" else public
        curve = {"curve": {"secret": "secret", known: admitted}}
        return json.dumps({**endpoints, "security": curve})

    def channel(self, publishers, subscribers):
        limits = "limits: { message: 16MiB, client_bytes: 64MiB }"
        sides = f"publishers: {publishers}, subscribers: {subscribers}, subscriber_bytes: 64MiB"
        text = f"channels: {{ all: {{ {sides} }} }}\n{ROUTES}\n{limits}"
        return Gateway(text, files={"secret": self.secret})

    def programs(self, stack, server, at, way):
        """Starts publishers and subscribers with keys of every library that has CURVE."""
        started = []
        for side, kinds in (("publishers", ("pub", "xpub")), ("subscribers", ("sub", "xsub"))):
            peers = [(library, kind) for library in LIBRARIES_WITH_CURVE for kind in kinds]
            keys = (*getattr(self, side), server)
            started.append(list(programs(stack, peers, lambda _: at[side], way, keys).values()))
        return started


@case
def publishers_and_subscribers_with_keys_are_served():
    """Frames of zero to ten million bytes, including some that are sealed and opened on another thread."""
    keys = Keys()
    sides = [keys.side(side, {"bind": "tcp://127.0.0.1:0"}) for side in ("publishers", "subscribers")]
    with keys.channel(*sides) as gateway, contextlib.ExitStack() as stack:
        at = dict(zip(("publishers", "subscribers"), ends(gateway)))
        publishers, subscribers = keys.programs(stack, keys.ours, at, "connect")
        subscribe_all(subscribers, b"RAW.x")
        meet(publishers, subscribers)
        for publisher in publishers:
            publisher.send(b"PERSON", b"\xff")
            for message in ([b""], [b"x"], [b"", b"h", 100_000], [262_144, b"x"], [10_000_000]):
                publish(publisher, subscribers, b"RAW.x", *message)


@case
def publishers_and_subscribers_with_keys_that_listen_are_connected_to():
    """They are servers of CURVE, and then its clients, whose keys the gateway knows."""
    keys = Keys()
    listen = dict.fromkeys(("publishers", "subscribers"), "tcp://127.0.0.1:0")
    for server, known in (("", "server"), (keys.ours, "peers")):
        with contextlib.ExitStack() as stack:
            publishers, subscribers = keys.programs(stack, server, listen, "bind")
            subscribe_all(subscribers, b"RAW.x")
            sides = [
                keys.side(side, {"connect": [peer.endpoint for peer in peers]}, known)
                for side, peers in (("publishers", publishers), ("subscribers", subscribers))
            ]
            with keys.channel(*sides):
                meet(publishers, subscribers)
                for publisher in publishers:
                    publish(publisher, subscribers, b"RAW.x", b"h", b"x")
                    publish(publisher, subscribers, b"RAW.x", MIB)
