//! Messages of any shape from libzmq's clients to libzmq's workers and back, byte for byte: this codec against
//! theirs, both ways.

use crate::support::gateway::Gateway;
use crate::support::random::Random;
use crate::support::sockets::{Frames, receive, send};

/// Messages that each pair of peers exchanges.
const MESSAGES: usize = 150;

/// Sizes at which the wire, the copying or the sharing of frames changes, and one around them.
const EDGES: [usize; 9] = [
    0,
    1,
    255,
    256,
    8 << 10,
    16 << 10,
    32 << 10,
    64 << 10,
    1 << 20,
];

/// Frames of any number, most of them small, one in a while at an edge; a type first, which is not empty.
fn message(random: &mut Random, most_frames: usize) -> Frames {
    let count = 2 + random.below(most_frames - 1);
    let mut left = 3_usize << 20;
    let mut frames = vec![b"OPAQUE".to_vec()];
    while frames.len() < count {
        let size = match random.below(8) {
            0..4 => random.below(300),
            4 | 5 => random.below(3_000),
            6 => random.below(200_000),
            _ => {
                let edge = EDGES[random.below(EDGES.len())];
                (edge + random.below(3)).saturating_sub(1)
            }
        };
        let size = size.min(left);
        left -= size;
        let mut frame = vec![0; size];
        for chunk in frame.chunks_mut(8) {
            chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
        }
        frames.push(frame);
    }
    frames
}

/// A message for people: its frames' sizes, and what an answer of the gateway's own says.
fn shape(frames: &[Vec<u8>]) -> String {
    let sizes: Vec<usize> = frames.iter().map(Vec::len).collect();
    let said = match frames[0] == b"ERROR" {
        true => String::from_utf8_lossy(frames.last().unwrap()),
        false => "".into(),
    };
    format!("{sizes:?} {said}")
}

/// One request at a time, for a REQ, or many at once.
fn exchange(client: zmq::SocketType, worker: zmq::SocketType, at_once: usize, seed: u64) {
    let rep = worker == zmq::REP;
    // Said for engine libzmq, which can't tell; the other one goes by the handshake.
    let kind = if rep { "rep" } else { "auto" };
    let gateway = Gateway::start(&format!(
        r#"
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0" }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0", per_worker: 50, workers: {kind} }} }}
routes: {{ OPAQUE: {{ pool: people }} }}
limits: {{ frames: 20 }}
"#
    ));
    let clients = gateway.peer(client, "clients");
    let workers = gateway.peer(worker, "people");
    let mut random = Random(seed);
    let sent: Vec<Frames> = (0..MESSAGES).map(|_| message(&mut random, 18)).collect();
    let replies: Vec<Frames> = (0..MESSAGES).map(|_| message(&mut random, 18)).collect();
    let (expected, answers) = (sent.clone(), replies.clone());
    let work = std::thread::spawn(move || {
        for (expected, mut answer) in expected.into_iter().zip(answers) {
            let mut request = receive(&workers);
            if !rep {
                answer.insert(0, request.remove(0));
            }
            assert!(
                request == expected,
                "{} for {}",
                shape(&request),
                shape(&expected)
            );
            send(&workers, &answer);
        }
        // Closed only once its last answer is out.
        workers
    });
    for (sent, replies) in sent.chunks(at_once).zip(replies.chunks(at_once)) {
        for message in sent {
            send(&clients, message);
        }
        for reply in replies {
            let found = receive(&clients);
            assert!(found == *reply, "{} for {}", shape(&found), shape(reply));
        }
    }
    let _workers = work.join().unwrap();
    assert_eq!(gateway.end().answered, MESSAGES as u64);
}

#[test]
fn dealer_to_dealer() {
    exchange(zmq::DEALER, zmq::DEALER, 15, 1);
}

#[test]
fn dealer_to_rep() {
    exchange(zmq::DEALER, zmq::REP, 5, 2);
}

#[test]
fn req_to_dealer() {
    exchange(zmq::REQ, zmq::DEALER, 1, 3);
}

#[test]
fn req_to_rep() {
    exchange(zmq::REQ, zmq::REP, 1, 4);
}
