//! A publisher: `cargo run --example publisher [ADDRESS]`, with `gateway` running by the first
//! routes.yaml of docs/channels.md.
//!
//! The publisher publishes two persons, and then a broken payload, which no subscriber receives.

mod messages;

use messages::Person;
use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("tcp://127.0.0.1:5561");
    // A PUB works, too, but cannot see when a subscription arrives, and drops messages before that.
    let socket = zmq::Context::new().socket(zmq::XPUB)?;
    socket.set_rcvtimeo(5_000)?;
    socket.connect(address)?;
    match socket.recv_bytes(0) {
        // No message was sent, so there is nothing to wait for at the end.
        Err(zmq::Error::EAGAIN) => {
            return Err("no subscription in 5 s: is the gateway running?".into());
        }
        prefix => println!("asked for {:?}", String::from_utf8_lossy(&prefix?[1..])),
    }
    for (id, name) in [(1, "Ann"), (2, "Bob")] {
        let person = Person {
            id,
            name: name.into(),
            email: format!("{}@example.com", name.to_lowercase()),
        };
        publish(&socket, &format!("tick.{name}"), person.encode_to_vec())?;
    }
    publish(&socket, "tick.Cid", b"no person".to_vec())
}

/// Publishes a message. The type is also the topic, so a subscription is a prefix of the type.
fn publish(
    socket: &zmq::Socket,
    kind: &str,
    payload: Vec<u8>,
) -> Result<(), Box<dyn std::error::Error>> {
    socket.send_multipart([kind.as_bytes(), &payload], 0)?;
    println!("published {kind}");
    Ok(())
}
