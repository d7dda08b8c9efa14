//! A client: `cargo run --example client [ADDRESS]`, with `gateway` and the worker running.
//!
//! The client sends a person in protobuf and in MessagePack, and then a person without a name. The
//! gateway rejects the last request, so no worker receives it.

mod messages;

use messages::{Person, Rejection};
use prost::Message;
use serde::Serialize;

#[derive(Serialize)]
struct Nameless {
    id: i32,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("tcp://127.0.0.1:5559");
    let socket = zmq::Context::new().socket(zmq::DEALER)?;
    socket.set_identity(b"client1")?;
    socket.set_rcvtimeo(5_000)?;
    // Otherwise the socket would wait at the end for messages that were not sent.
    socket.set_linger(0)?;
    socket.connect(address)?;

    let john = Person {
        id: 12345,
        name: "John Doe".into(),
        email: "jdoe@example.com".into(),
    };
    ask(&socket, "PROTOBUF", john.encode_to_vec())?;
    ask(&socket, "MSGPACK", rmp_serde::to_vec_named(&john)?)?;
    ask(
        &socket,
        "MSGPACK",
        rmp_serde::to_vec_named(&Nameless { id: 54321 })?,
    )
}

/// Sends one request and prints its one answer.
fn ask(
    socket: &zmq::Socket,
    kind: &str,
    payload: Vec<u8>,
) -> Result<(), Box<dyn std::error::Error>> {
    socket.send_multipart([kind.as_bytes(), &payload], 0)?;
    let answer = match socket.recv_multipart(0) {
        Err(zmq::Error::EAGAIN) => {
            return Err("no answer in 5 s: are the gateway and a worker running?".into());
        }
        answer => answer?,
    };
    match &answer[..] {
        [reply, .., payload] if reply == b"ERROR" => {
            println!("{kind}: refused, {}", Rejection::decode_for(kind, payload)?);
        }
        [reply, .., payload] => {
            let [reply, payload] = [reply, payload].map(|frame| String::from_utf8_lossy(frame));
            println!("{kind}: {reply} {payload}");
        }
        _ => return Err("an answer without a payload".into()),
    }
    Ok(())
}
