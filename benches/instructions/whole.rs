//! Round trips through everything between a read and a write, in the native engine's types: the
//! decoder, the core, the schema check and the outbox. Only the sockets are missing. The bytes
//! written for a worker are read back as the worker's answer. The bytes written for the client are
//! discarded.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use gateway::core::{Core, Event, Outlet};
use gateway::engine::native::outbox::Outbox;
use gateway::ledger::{Fate, RequestOutcome};
use gateway::peer::{ClientKind, Headcount, PeerId, WorkerKind};
use gateway::snapshot::{FrontendId, Snapshot};
use gateway_zmtp::decoder::{Bounds, Decoder, Item};
use gateway_zmtp::message::Message;
use gateway_zmtp::pool::BufferPool;

use crate::inputs::{BURST, PERSON};

const CLIENT: PeerId = PeerId(1);
const WORKERS: [PeerId; 2] = [PeerId(2), PeerId(3)];

const BOUNDS: Bounds = Bounds {
    bytes: 1 << 20,
    frames: 16,
};

/// The connections of the client and the two workers, in this order, without sockets.
#[derive(Default)]
struct Peers {
    buffers: BufferPool,
    outboxes: [Outbox; 3],
    decoders: [Decoder; 3],
}

impl Peers {
    fn outbox(&mut self, peer: PeerId) -> (&mut BufferPool, &mut Outbox) {
        (&mut self.buffers, &mut self.outboxes[index(peer)])
    }
}

fn index(peer: PeerId) -> usize {
    peer.0 as usize - 1
}

impl Outlet<Message> for Peers {
    fn to_worker(&mut self, worker: PeerId, head: &[&[u8]], body: Message) -> Result<(), Message> {
        let (buffers, outbox) = self.outbox(worker);
        outbox.push_message(buffers, head, &body);
        buffers.recycle(body);
        Ok(())
    }

    fn to_client(
        &mut self,
        client: PeerId,
        head: &[&[u8]],
        body: Message,
        outcome: RequestOutcome,
    ) -> Fate {
        let (buffers, outbox) = self.outbox(client);
        outbox.push_message(buffers, head, &body);
        outbox.mark(outcome);
        buffers.recycle(body);
        Fate::Waiting
    }

    fn settle(&mut self, body: Message) -> Message {
        self.buffers.settle(body)
    }
}

/// Sends bursts of requests of a type, each once the previous burst is answered. The workers answer
/// with the bytes that they receive.
pub fn round_trips(snapshot: Arc<Snapshot>, rounds: u64, kind: &[u8]) {
    let mut core = Core::new(Arc::clone(&snapshot));
    let mut peers = Peers::default();
    let pool = snapshot
        .routes
        .get(kind)
        .expect("a route")
        .pool()
        .expect("a pool");
    let connected = Event::ClientConnected {
        peer: CLIENT,
        frontend: FrontendId(0),
        kind: ClientKind::Dealer,
        identity: b"client".to_vec(),
    };
    core.on(Duration::ZERO, connected, &mut peers);
    for peer in WORKERS {
        let connected = Event::WorkerConnected {
            peer,
            pool,
            kind: WorkerKind::Dealer,
            headcount: Headcount::One,
            name: Arc::default(),
        };
        core.on(Duration::ZERO, connected, &mut peers);
    }
    let mut requests = Vec::new();
    for _ in 0..BURST {
        gateway_zmtp::put_frame(&mut requests, gateway_zmtp::MORE, kind);
        gateway_zmtp::put_frame(&mut requests, 0, PERSON);
    }
    let mut wire = Vec::new();
    let mut answered = 0;
    for round in 0..rounds / BURST {
        let now = Duration::from_micros(round);
        read(&mut core, &mut peers, CLIENT, &requests, now);
        let before = answered;
        while answered < before + BURST {
            for worker in WORKERS {
                wire.clear();
                write(&mut peers, worker, &mut wire);
                if !wire.is_empty() {
                    read(&mut core, &mut peers, worker, &wire, now);
                }
            }
            wire.clear();
            write(&mut peers, CLIENT, &mut wire);
            while let Some(outcome) = peers.outboxes[index(CLIENT)].next_written() {
                let fate = Fate::Delivered;
                core.on(now, Event::Settled { outcome, fate }, &mut peers);
                answered += 1;
            }
        }
        assert_eq!(core.in_flight(), 0);
    }
    assert_eq!(core.ledger().answered, rounds / BURST * BURST);
}

/// Writes all queued bytes for a peer to `wire`.
fn write(peers: &mut Peers, peer: PeerId, wire: &mut Vec<u8>) {
    let append = |slices: &[IoSlice<'_>]| {
        let before = wire.len();
        for slice in slices {
            wire.extend_from_slice(slice);
        }
        Ok(wire.len() - before)
    };
    let (buffers, outbox) = peers.outbox(peer);
    assert!(
        outbox
            .write(buffers, append)
            .expect("the bytes are written")
    );
}

/// Decodes the bytes from a peer, and passes each message to the core.
fn read(core: &mut Core<Message>, peers: &mut Peers, peer: PeerId, wire: &[u8], now: Duration) {
    let fill = |into: &mut [u8]| {
        into[..wire.len()].copy_from_slice(wire);
        Ok::<_, ()>(wire.len())
    };
    let mut input = peers.buffers.fill(fill).expect("the bytes are read");
    loop {
        let decoder = &mut peers.decoders[index(peer)];
        match decoder.next(&mut input, BOUNDS, &mut peers.buffers) {
            Ok(None) => break,
            Ok(Some(Item::Message(frames))) => core.on(now, Event::Message { peer, frames }, peers),
            Ok(Some(other)) => panic!("{other:?}"),
            Err(fault) => panic!("{fault}"),
        }
    }
    peers.buffers.give_back(input);
}
