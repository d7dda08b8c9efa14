"""Tests of channels with publishers and subscribers of every library, with and without a zmq.proxy
in between. libraries.py runs these cases.
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
    """Starts a gateway that has only a channel, for PERSON and for every type that begins with `RAW.`."""
    both = f"publishers: {publishers}, subscribers: {subscribers}"
    return Gateway(f"channels: {{ all: {{ {both}, {settings} }} }}\n{ROUTES}")


def callers(endpoints):
    """Returns the configuration of a side of a channel that connects to these endpoints."""
    return "{ connect: [" + ", ".join(f'"{endpoint}"' for endpoint in endpoints) + "] }"


class Proxy:
    """A process with a zmq.proxy from XSUB to XPUB."""

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
    """Starts publishers and subscribers of every library, which connect to these endpoints."""
    with contextlib.ExitStack() as stack:
        subscribers = programs(stack, subscribers, lambda _: subscribers_at)
        publishers = programs(stack, publishers, lambda _: publishers_at)
        yield list(publishers.values()), list(subscribers.values())


def ends(gateway):
    return gateway.endpoints["all.publishers"], gateway.endpoints["all.subscribers"]


def meet(publishers, subscribers, prefix=b"RAW.x", frames="typed"):
    """Publishes messages until each subscriber receives the messages of each publisher.

    The subscribers have subscribed to this prefix, and so has the gateway at the publishers. `frames` is
    the setting of the channel. No messages are left when the function returns.
    """
    kind = prefix or b"RAW.x"
    probe, end = [kind, b"probe"], [kind, b"end"]
    if frames == "single":
        probe, end = [b" ".join(probe)], [b" ".join(end)]
    for publisher in publishers:
        if publisher.name == "rust xpub":
            # This XPUB processes subscriptions only during a receive. The other XPUBs are not
            # waited for, because they do not report a subscription again after a reconnection.
            while publisher.get() != [b"\x01" + prefix]:
                pass
        for subscriber in subscribers:
            subscriber.want()
        waiting = list(subscribers)
        while waiting:
            # A PUB drops messages without a subscription, and does not report subscriptions.
            publisher.send(*probe)
            waiting = [subscriber for subscriber in waiting if not subscriber.has_got()]
        publisher.send(*end)
        for subscriber in subscribers:
            got = subscriber.got()
            while got != end:
                assert got == probe, (subscriber.name, got)
                got = subscriber.get()


def publish(publisher, subscribers, *frames):
    """Publishes a message, and asserts that it is the next message of each subscriber."""
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
def a_cancelled_subscription_ends_and_the_other_subscriptions_stay():
    with channel() as gateway, peers_at(*ends(gateway)) as (publishers, subscribers):
        subscribe_all(subscribers, b"RAW.x")
        subscribe_all(subscribers, b"RAW.y")
        meet(publishers, subscribers)
        for subscriber in subscribers:
            subscriber.cancel(b"RAW.y")
        # Once the gateway has processed the last subscription, it has processed the cancellation.
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
        for library, socket in SUBSCRIBERS:
            for publisher in publishers:
                for kind in (b"RAW.late.a", b"RAW.late.b"):
                    last = [publisher.name.encode(), b"for " + library.encode()]
                    publish(publisher, [first], kind, *last)
            with Program(library, socket, subscribers_at) as late:
                late.subscribe(b"RAW.late.")
                late.expect(b"RAW.late.a", *last)
                late.expect(b"RAW.late.b", *last)
                for publisher in publishers:
                    publish(publisher, [first, late], b"RAW.late.a", b"live")


@case
def a_channel_connects_to_peers_that_listen():
    with contextlib.ExitStack() as stack:
        endpoint = lambda _: "tcp://127.0.0.1:0"
        subscribers = programs(stack, SUBSCRIBERS, endpoint, "bind").values()
        publishers = programs(stack, PUBLISHERS, endpoint, "bind").values()
        subscribe_all(subscribers, b"RAW.x")
        sides = [callers(peer.endpoint for peer in peers) for peers in (publishers, subscribers)]
        with channel("", *sides):
            meet(publishers, subscribers)
            for publisher in publishers:
                publish(publisher, subscribers, b"RAW.x", b"h", b"x")


@case
def a_channel_works_between_two_proxies():
    """The publishers connect to one zmq.proxy, and the subscribers connect to the other."""
    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(Proxy()) for _ in range(2))
        sides = callers([first.subscribers]), callers([second.publishers])
        stack.enter_context(channel("", *sides))
        peers = peers_at(first.publishers, second.subscribers)
        publishers, subscribers = stack.enter_context(peers)
        subscribe_all(subscribers, b"")
        meet(publishers, subscribers, b"")
        for publisher in publishers:
            publisher.send(b"PERSON", b"\xff")
            publish(publisher, subscribers, b"RAW.x", b"h", b"x")


@case
def a_proxy_works_between_two_channels():
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
def a_gateway_replaces_a_proxy_and_the_peers_keep_running():
    # Publishers of the crate zeromq do not connect again.
    publishers = [(library, kind) for library, kind in PUBLISHERS if library != "rust"]
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
def single_frames_pass_unchanged():
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
def the_gateway_connects_to_publishers_and_subscribers_with_keys():
    """The peers listen, first as servers of CURVE, and then as its clients, whose keys the gateway knows."""
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
