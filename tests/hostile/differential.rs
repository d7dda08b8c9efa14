//! Tests that messages of any shape pass from libzmq's clients through the gateway to libzmq's
//! workers and back, byte for byte.

use crate::support::gateway::Gateway;
use crate::support::random::Random;
use crate::support::sockets::{Frames, receive, send};

/// The number of messages that each pair of peers exchanges.
const MESSAGES: usize = 150;

/// The sizes of frames, in bytes, at which the wire format changes, or the way in which frames are
/// copied or shared.
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

/// Returns a message of 2 to `most_frames` frames, whose first frame is the type. Most of the other
/// frames are small, and some have a size in [`EDGES`], or one byte more or less.
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

/// Describes a message: the sizes of its frames, and the text of a rejection.
fn shape(frames: &[Vec<u8>]) -> String {
    let sizes: Vec<usize> = frames.iter().map(Vec::len).collect();
    let text = match frames[0] == b"ERROR" {
        true => String::from_utf8_lossy(frames.last().unwrap()),
        false => "".into(),
    };
    format!("{sizes:?} {text}")
}

/// Sends messages from a client to a worker, `at_once` at a time, and asserts that the messages and
/// their replies arrive unchanged.
fn exchange(client: zmq::SocketType, worker: zmq::SocketType, at_once: usize, seed: u64) {
    let rep = worker == zmq::REP;
    // Engine libzmq needs this key, because it cannot see a worker's socket type. Engine native
    // learns the type in the handshake.
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
    let answering = std::thread::spawn(move || {
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
        // A worker is closed only once its last answer is sent.
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
    let _workers = answering.join().unwrap();
    assert_eq!(gateway.end().answered, MESSAGES as u64);
}

#[test]
fn messages_pass_unchanged_from_dealer_to_dealer() {
    exchange(zmq::DEALER, zmq::DEALER, 15, 1);
}

#[test]
fn messages_pass_unchanged_from_dealer_to_rep() {
    exchange(zmq::DEALER, zmq::REP, 5, 2);
}

#[test]
fn messages_pass_unchanged_from_req_to_dealer() {
    exchange(zmq::REQ, zmq::DEALER, 1, 3);
}

#[test]
fn messages_pass_unchanged_from_req_to_rep() {
    exchange(zmq::REQ, zmq::REP, 1, 4);
}
