"""Tests of the real binary with clients and workers of every installed library.

tests/peers/libraries.sh runs this file, and lists the installed libraries in PEERS. `program.py` starts
the peers as processes and sends commands to them.
"""

import contextlib
import json
import resource

import msgpack

from program import LIBRARIES, LIBRARIES_WITH_CURVE, MESSAGES, MIB, Program, key_pair, programs
from support import CODES, ENGINE, Gateway, case, run

if ENGINE == "native":
    import channels  # noqa: F401: registers more cases

WORKERS = [(library, kind) for library in LIBRARIES for kind in ("dealer", "rep")]
# With the crate zeromq and pyomq, a ROUTER cannot name the peer to which it connects.
CLIENTS = [
    (library, kind)
    for library in LIBRARIES
    for kind in ("dealer", "req", "router")
    if kind != "router" or library not in ("rust", "pyomq")
]

LISTEN = "tcp://127.0.0.1:0"


def name(peer):
    """Returns the name for the peer's pool or frontend, which is also the type of its route."""
    return "-".join(peer)


def pool(worker, settings):
    """Returns the line of routes.yaml with a pool for one worker."""
    if ENGINE == "libzmq" and worker[0] == "rust":
        # The crate zeromq closes a connection when it receives a PING. libzmq sends PINGs even to
        # peers with ZMTP 3.0.
        settings += ", heartbeat: off"
    return f"  {name(worker)}: {{ {settings}, workers: {worker[1]} }}"


def routes(workers=WORKERS, more="", settings=""):
    """Returns the routes.yaml of a gateway with one frontend, and with a pool for each of these workers."""
    lines = [f'frontends: {{ clients: {{ bind: "{LISTEN}" }} }}', "pools:"]
    lines += [pool(worker, f'bind: "{LISTEN}"{settings}') for worker in workers]
    lines += ["routes:", f"  PACKED: {{ schema: {{ msgpack: demo.Person }}, pool: {name(workers[0])} }}"]
    lines += [f"  {name(worker)}: {{ pool: {name(worker)} }}" for worker in workers]
    return "\n".join([*lines, more])


@contextlib.contextmanager
def peers_of(gateway, workers=WORKERS, clients=CLIENTS):
    """Starts these clients and workers. Yields the clients, and the workers by the types of their routes."""
    with contextlib.ExitStack() as stack:
        clients = programs(stack, clients, lambda _: gateway.endpoints["clients"])
        workers = programs(stack, workers, lambda it: gateway.endpoints[name(it)])
        yield list(clients.values()), {name(it).encode(): peer for it, peer in workers.items()}


def round_trip(client, worker, kind, *rest):
    try:
        client.send(kind, *rest)
        worker.serve(kind, *rest)
        client.expect(b"REPLY", *rest)
    except AssertionError as error:
        error.add_note(f"from {client.name} to {worker.name}")
        raise


def rejected(client, reason, *headers):
    """Receives a rejection in JSON or MessagePack, asserts its reason and headers, and returns the error."""
    kind, *got, payload = client.get()
    assert (kind, got) == (b"ERROR", list(headers)), (client.name, kind, got, payload)
    error = json.loads(payload) if payload.startswith(b"{") else msgpack.unpackb(payload)
    assert error["reason"] == reason and error["code"] == CODES[reason], (client.name, error)
    return error


def refused(client, reason, *frames, headers=()):
    """Sends a request, and then does the same as `rejected`."""
    client.send(*frames)
    return rejected(client, reason, *headers)


@case
def every_client_talks_with_every_worker():
    with Gateway(routes()) as gateway, peers_of(gateway) as (clients, workers):
        for kind, worker in workers.items():
            for client in clients:
                for message in MESSAGES:
                    if worker.name == "pyomq rep" and message[0] == b"":
                        # This library treats an empty frame after the type as the end of an
                        # envelope, even in messages of libzmq.
                        continue
                    round_trip(client, worker, kind, *message)


@case
def every_client_receives_rejections_and_continues():
    """A REQ would wait forever for an answer without its delimiter."""
    workers = WORKERS[:1]
    with Gateway(routes(workers, "limits: { message: 64KiB }")) as gateway:
        with peers_of(gateway, workers) as (clients, workers):
            [(kind, worker)] = workers.items()
            for client in clients:
                # If a message has too many frames, the rejection repeats the headers within
                # `limits.frames`.
                kept = [b"h"] * 14
                for _ in range(2):
                    refused(client, "unknown_type", b"NOBODY", b"h", b"", b"x", headers=[b"h", b""])
                    refused(client, "malformed", kind)
                    refused(client, "malformed", kind, *[b"h"] * 30, headers=kept)
                    error = refused(client, "schema_violation", b"PACKED", b"\x81\xa2id\xa1x")
                    assert error["field"] == "id", error
                    refused(client, "too_large", kind, b"h", 100_000, headers=[b"h"])
                    round_trip(client, worker, kind, b"h", b"x")


@case
def every_library_carries_100_mb():
    limits = "limits: { message: 128MiB, client_bytes: 512MiB }"
    with Gateway(routes(more=limits)) as gateway:
        for library in LIBRARIES:
            for client, worker in (("dealer", "dealer"), ("req", "rep")):
                worker = (library, worker)
                with (
                    Program(library, client, gateway.endpoints["clients"]) as client,
                    Program(*worker, gateway.endpoints[name(worker)]) as process,
                ):
                    for rest in ([b"h", 100_000_000], [b"x"]):
                        round_trip(client, process, name(worker).encode(), *rest)


@case
def the_request_of_a_killed_worker_is_rejected_at_once():
    with Gateway(routes()) as gateway, peers_of(gateway, []) as (clients, _):
        for kind in WORKERS:
            for client in clients[:: len(LIBRARIES)]:
                with Program(*kind, gateway.endpoints[name(kind)]) as worker:
                    client.send(name(kind).encode(), b"h", b"x")
                    worker.get()
                    worker.kill()
                    rejected(client, "worker_lost", b"h")


@case
def all_peers_connect_again_to_a_gateway_that_was_killed_and_restarted():
    # In the crate zeromq, only SUB sockets connect again.
    clients = [peer for peer in CLIENTS if peer[0] != "rust"]
    workers = [peer for peer in WORKERS if peer[0] != "rust"]
    with Gateway(routes(workers)) as gateway, peers_of(gateway, workers, clients) as (clients, workers):
        for restarts in range(3):
            if restarts:
                gateway.restart()
            for kind, worker in workers.items():
                for client in clients:
                    round_trip(client, worker, kind, b"x")


@case
def the_gateway_connects_again_to_replaced_peers_that_listen():
    # A ROUTER that listens does not know an identity to send to.
    clients = [peer for peer in CLIENTS if peer[1] != "router"]
    with contextlib.ExitStack() as stack:
        called, serving = (
            programs(stack, peers, lambda _: LISTEN, "bind") for peers in (clients, WORKERS)
        )
        lines = ["frontends:"]
        lines += [f'  {name(it)}: {{ connect: "{peer.endpoint}" }}' for it, peer in called.items()]
        lines += ["pools:"]
        lines += [pool(it, f'connect: "{peer.endpoint}"') for it, peer in serving.items()]
        lines += ["routes:"] + [f"  {name(it)}: {{ pool: {name(it)} }}" for it in WORKERS]
        with Gateway("\n".join(lines)):
            for turn in range(2):
                for client in called.values():
                    for it, worker in serving.items():
                        round_trip(client, worker, name(it).encode(), b"x")
                if turn == 0:
                    for peers in (called, serving):
                        for it, peer in peers.items():
                            peer.kill()
                            peers[it] = stack.enter_context(Program(*it, peer.endpoint, "bind"))


if ENGINE == "native":

    @case
    def heartbeats_disconnect_no_live_worker():
        """The gateway sends twenty heartbeats while each worker holds a request that it never answers."""
        with Gateway(routes(settings=", heartbeat: 200ms, timeout: 4s")) as gateway:
            with peers_of(gateway, clients=CLIENTS[:1]) as ([client], workers):
                # A worker receives only one request before its first answer, so each worker first
                # answers one request.
                for kind, worker in workers.items():
                    round_trip(client, worker, kind, b"h", b"x")
                for kind in workers:
                    client.send(kind, b"h", b"x")
                held = [worker.get() for worker in workers.values()]
                for _ in held:
                    # The reason would be `worker_lost` if the worker had been disconnected.
                    rejected(client, "timeout", b"h")
                for kind, worker in workers.items():
                    if worker.kind == "rep":
                        worker.send(b"REPLY", b"late")
                    round_trip(client, worker, kind, b"h", b"x")

    @case
    def dealer_and_rep_workers_share_a_pool():
        """The gateway adapts its socket type and the form of the requests to the socket type of each worker."""
        shared = f"""
frontends: {{ clients: {{ bind: "{LISTEN}" }} }}
pools: {{ all: {{ bind: "{LISTEN}", per_worker: 1 }} }}
routes: {{ RAW: {{ pool: all }} }}
"""
        with Gateway(shared) as gateway, contextlib.ExitStack() as stack:
            workers = programs(stack, WORKERS, lambda _: gateway.endpoints["all"])
            client = stack.enter_context(Program(LIBRARIES[0], "dealer", gateway.endpoints["clients"]))
            for _ in range(2):
                for _ in workers:
                    client.send(b"RAW", b"h", b"x")
                # Each worker holds at most one request, so each worker receives one.
                for worker in workers.values():
                    worker.serve(b"RAW", b"h", b"x")
                for _ in workers:
                    client.expect(b"REPLY", b"h", b"x")

    SECURE_CLIENTS = [it for it in CLIENTS if it[0] in LIBRARIES_WITH_CURVE]
    SECURE_WORKERS = [it for it in WORKERS if it[0] in LIBRARIES_WITH_CURVE]
    SECURE_MESSAGES = [
        [b""],
        [b"x"],
        [b"h", b"", b"x"],
        [b"x" * 255],
        [b"x" * 256],
        [8192],
        [65_536, b"", 70_000],
        [b"h", 262_144, b"x"],
        [MIB],
        [10_000_000],
    ]
    SECURE_LIMITS = "limits: { message: 16MiB, client_bytes: 64MiB }"

    def talk_by_curve(clients, workers, messages=SECURE_MESSAGES):
        for kind, worker in workers.items():
            for client in clients:
                for message in messages:
                    if worker.name == "pyomq rep" and message[0] == b"":
                        continue  # see every_client_talks_with_every_worker
                    round_trip(client, worker, kind, *message)

    @case
    def every_client_talks_with_every_worker_over_curve():
        """Large frames are encrypted and decrypted on another thread."""
        (ours, our_secret), (theirs, their_secret) = key_pair(), key_pair()
        curve = json.dumps({"curve": {"secret": "secret", "peers": {"peer": theirs}}})
        text = routes(SECURE_WORKERS, SECURE_LIMITS, f", security: {curve}")
        text = text.replace('clients: { bind', f"clients: {{ security: {curve}, bind", 1)
        keys = (theirs, their_secret, ours)
        files = {"secret": our_secret}
        with Gateway(text, files=files) as gateway, contextlib.ExitStack() as stack:
            at = gateway.endpoints
            clients = programs(stack, SECURE_CLIENTS, lambda _: at["clients"], keys=keys)
            workers = programs(stack, SECURE_WORKERS, lambda it: at[name(it)], keys=keys)
            talk_by_curve(
                clients.values(), {name(it).encode(): peer for it, peer in workers.items()}
            )

    @case
    def the_gateway_connects_to_workers_over_curve():
        (ours, our_secret), (theirs, their_secret) = key_pair(), key_pair()
        with contextlib.ExitStack() as stack:
            keys = (theirs, their_secret, "")
            workers = programs(stack, SECURE_WORKERS, lambda _: LISTEN, "bind", keys)
            curve = json.dumps({"curve": {"secret": "secret", "server": theirs}})
            lines = [f'frontends: {{ clients: {{ bind: "{LISTEN}" }} }}', "pools:"]
            lines += [
                pool(it, f'connect: "{peer.endpoint}", security: {curve}')
                for it, peer in workers.items()
            ]
            lines += ["routes:"] + [f"  {name(it)}: {{ pool: {name(it)} }}" for it in workers]
            text = "\n".join([*lines, SECURE_LIMITS])
            with Gateway(text, files={"secret": our_secret}) as gateway:
                client = stack.enter_context(
                    Program("python", "dealer", gateway.endpoints["clients"])
                )
                talk_by_curve([client], {name(it).encode(): peer for it, peer in workers.items()})

    @case
    def the_gateway_connects_to_clients_and_workers_over_curve():
        """The peers listen, first as servers of CURVE, and then as its clients, whose key the gateway knows."""
        (ours, our_secret), (theirs, their_secret) = key_pair(), key_pair()
        # A ROUTER that listens knows no identity to which it could send.
        clients = [it for it in SECURE_CLIENTS if it[1] != "router"]
        for server, known in (("", {"server": theirs}), (ours, {"peers": {"peer": theirs}})):
            curve = json.dumps({"curve": {"secret": "secret", **known}})
            with contextlib.ExitStack() as stack:
                keys = (theirs, their_secret, server)
                called, serving = (
                    programs(stack, peers, lambda _: LISTEN, "bind", keys)
                    for peers in (clients, SECURE_WORKERS)
                )
                line = lambda peer: f'connect: "{peer.endpoint}", security: {curve}'
                lines = ["frontends:"]
                lines += [f"  {name(it)}: {{ {line(peer)} }}" for it, peer in called.items()]
                lines += ["pools:"]
                lines += [pool(it, line(peer)) for it, peer in serving.items()]
                lines += ["routes:"] + [f"  {name(it)}: {{ pool: {name(it)} }}" for it in serving]
                text = "\n".join([*lines, SECURE_LIMITS])
                with Gateway(text, files={"secret": our_secret}):
                    workers = {name(it).encode(): peer for it, peer in serving.items()}
                    talk_by_curve(called.values(), workers, [[b"x"], [b"h", b"", 70_000], [MIB]])

    @case
    def a_thousand_clients_are_served_by_curve():
        """All clients connect at once. Each has a key of its own, and its requests contain its name."""
        count = 1000
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        ours, our_secret = key_pair()
        pairs = [key_pair() for _ in range(count)]
        peers = {f"peer-{n}": public for n, (public, _) in enumerate(pairs)}
        curve = json.dumps({"curve": {"secret": "secret", "peers": peers}})
        text = f"""
frontends: {{ clients: {{ bind: "{LISTEN}", security: {curve} }} }}
pools: {{ people: {{ bind: "{LISTEN}", per_worker: 100 }} }}
routes: {{ RAW: {{ pool: people }} }}
"""
        with Gateway(text, files={"secret": our_secret}) as gateway:
            gateway.context.max_sockets = 2 * count
            worker = gateway.worker()
            clients = [
                gateway.client(CURVE_PUBLICKEY=public.encode(), CURVE_SECRETKEY=secret.encode(),
                               CURVE_SERVERKEY=ours.encode())
                for public, secret in pairs
            ]
            for n, client in enumerate(clients):
                client.send(b"RAW", b"%d" % n)
            for _ in clients:
                token, _, number = worker.get()
                assert token.split(b"#")[0] == b"peer-" + number, (token, number)
                worker.send(token, b"REPLY", number)
            for n, client in enumerate(clients):
                client.expect(b"REPLY", b"%d" % n)


run()
