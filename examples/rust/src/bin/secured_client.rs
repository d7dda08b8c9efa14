//! A client with a key: `cargo run --bin secured_client [NAME.key_secret [gateway.key [ADDRESS]]]`.
//!
//! docs/security.md shows how to make the keys. If the gateway does not know the client's key, the
//! client receives no answer, and the gateway logs the reason.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let usual = ["alice.key_secret", "gateway.key", "tcp://127.0.0.1:5559"];
    let (socket, _) = secured::connected(usual)?;
    socket.set_rcvtimeo(5_000)?;
    // Otherwise the socket would wait at the end for messages that were not sent.
    socket.set_linger(0)?;

    socket.send_multipart(["GREETING", "hello"], 0)?;
    let answer = socket.recv_multipart(0)?;
    if let [reply, .., payload] = &answer[..] {
        let [reply, payload] = [reply, payload].map(|frame| String::from_utf8_lossy(frame));
        println!("{reply} {payload}");
    }
    Ok(())
}
