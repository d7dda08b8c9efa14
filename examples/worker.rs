//! A worker: `cargo run --example worker [ADDRESS]`, with `gateway` running.
//!
//! Any number of workers may run, and may start before or after the gateway. No worker receives a
//! payload that violates its schema.

mod messages;

use messages::Person;
use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("tcp://127.0.0.1:5560");
    let socket = zmq::Context::new().socket(zmq::DEALER)?;
    socket.connect(address)?;
    println!("working for {address}");
    loop {
        let mut frames = socket.recv_multipart(0)?;
        // The identity, the type, the client's headers if it sent any, and the payload.
        let [identity, kind, .., payload] = &mut frames[..] else {
            continue;
        };
        let answer = match &kind[..] {
            b"PROTOBUF" => {
                let person = Person::decode(&payload[..])?;
                format!("Processed Protobuf: {}", person.name)
            }
            b"MSGPACK" => {
                let person: Person = rmp_serde::from_slice(payload)?;
                format!("Processed MsgPack: {}", person.name)
            }
            _ => "Unknown message type".to_owned(),
        };
        println!("{}: {answer}", String::from_utf8_lossy(identity));
        // The answer consists of the same frames with another type and payload.
        *kind = b"REPLY".to_vec();
        *payload = answer.into_bytes();
        socket.send_multipart(frames, 0)?;
    }
}
