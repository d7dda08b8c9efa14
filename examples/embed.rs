//! A gateway inside another program, with its worker and its client: `cargo run --example embed`.
//!
//! The configuration is a text here. [`Gateway::load`] loads a routes.yaml by its path instead.

use std::error::Error;
use std::thread;

use gateway::{Gateway, Reason};

const ROUTES: &str = r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes:
  PERSON: { schema: { json: demo.Person, require: [name] }, pool: people }
"#;

fn main() -> Result<(), Box<dyn Error>> {
    // The schemas are in the `schemas` directory of this repository.
    let gateway = Gateway::from_text(ROUTES, env!("CARGO_MANIFEST_DIR")).load()?;
    println!("loaded {}", gateway.summary());
    let handle = gateway.start()?;
    let endpoint = |name| handle.endpoint(name).ok_or("no such address");

    let context = zmq::Context::new();
    let worker = context.socket(zmq::DEALER)?;
    worker.connect(&endpoint("people")?)?;
    let worker = thread::spawn(move || answer_one(&worker));

    let client = context.socket(zmq::REQ)?;
    client.connect(&endpoint("clients")?)?;
    for payload in [r#"{"name": "Ann"}"#, r#"{"name": 7}"#] {
        client.send_multipart(["PERSON", payload], 0)?;
        let reply = client.recv_multipart(0)?;
        let [kind, text] = [0, 1].map(|i| String::from_utf8_lossy(&reply[i]));
        println!("{payload} -> {kind} {text}");
    }
    worker.join().expect("the worker does not panic")?;

    handle.drain();
    let ledger = handle.wait()?;
    let rejected = ledger.rejected[Reason::SchemaViolation as usize];
    println!("{} answered, {rejected} rejected", ledger.answered);
    Ok(())
}

/// Answers the valid request. The gateway rejects the other request.
fn answer_one(worker: &zmq::Socket) -> zmq::Result<()> {
    let mut frames = worker.recv_multipart(0)?;
    // [identity, type, payload]
    frames[1] = b"REPLY".to_vec();
    frames[2] = b"welcome".to_vec();
    worker.send_multipart(frames, 0)
}
