//! A worker with a key: `cargo run --bin secured_worker [NAME.key_secret [gateway.key [ADDRESS]]]`.
//!
//! docs/security.md shows how to make the keys. The first frame of a request is a token, which
//! begins with the name of the client.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let usual = ["worker-1.key_secret", "gateway.key", "tcp://127.0.0.1:5560"];
    let (socket, address) = secured::connected(usual)?;
    println!("working for {address}");
    loop {
        let mut frames = socket.recv_multipart(0)?;
        // The token, the type, the client's headers if it sent any, and the payload.
        let [token, kind, .., payload] = &mut frames[..] else {
            continue;
        };
        let client = token.split(|byte| *byte == b'#').next().unwrap_or_default();
        *kind = b"REPLY".to_vec();
        payload.extend_from_slice(b", ");
        payload.extend_from_slice(client);
        socket.send_multipart(frames, 0)?;
    }
}
