//! A subscriber: `cargo run --example subscriber [ADDRESS]`, with `gateway` running by the first
//! routes.yaml of docs/channels.md.
//!
//! Any number of subscribers may run. Each first receives the last earlier message of each type. No
//! subscriber receives a message whose payload violates its schema.

mod messages;

use messages::Person;
use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("tcp://127.0.0.1:5562");
    let socket = zmq::Context::new().socket(zmq::SUB)?;
    socket.set_subscribe(b"tick.")?;
    socket.connect(address)?;
    loop {
        let frames = socket.recv_multipart(0)?;
        // The type, the publisher's headers if it sent any, and the payload.
        let [kind, .., payload] = &frames[..] else {
            continue;
        };
        let person = Person::decode(&payload[..])?;
        println!("{}: {}", String::from_utf8_lossy(kind), person.email);
    }
}
