//! A ZeroMQ peer that uses the pure-Rust crate `zeromq`. `../libraries.py` controls it, and
//! describes its commands.

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use zeromq::{
    DealerSocket, RepSocket, ReqSocket, Socket, SocketRecv, SocketSend, ZmqMessage, ZmqResult,
};

fn pattern(size: usize) -> Vec<u8> {
    (0..=250_u8).cycle().take(size).collect()
}

fn read(word: &str) -> Bytes {
    let (kind, rest) = word.split_at(1);
    if kind == "#" {
        return pattern(rest.parse().expect("a size")).into();
    }
    let digits = |at| u8::from_str_radix(&rest[at..at + 2], 16).expect("hex digits");
    (0..rest.len()).step_by(2).map(digits).collect()
}

fn show(frame: &Bytes) -> String {
    if frame.len() <= 4096 {
        let digits = frame.iter().map(|byte| format!("{byte:02x}"));
        return format!("={}", digits.collect::<String>());
    }
    let right = frame[..] == pattern(frame.len());
    format!("{}{}", if right { '#' } else { '!' }, frame.len())
}

async fn serve<S: Socket + SocketSend + SocketRecv>(
    mut socket: S,
    way: &str,
    endpoint: &str,
) -> ZmqResult<()> {
    let at = match way {
        "connect" => {
            socket.connect(endpoint).await?;
            endpoint.to_owned()
        }
        _ => socket.bind(endpoint).await?.to_string(),
    };
    println!("ready {at}");
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await.expect("standard input") {
        let mut words = line.split_whitespace();
        if words.next() == Some(">") {
            let frames: Vec<Bytes> = words.map(read).collect();
            let message = ZmqMessage::try_from(frames).expect("a frame at least");
            socket.send(message).await?;
        } else {
            let message = socket.recv().await?;
            let shown: Vec<String> = message.iter().map(show).collect();
            println!("{}", shown.join(" "));
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ZmqResult<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, way, endpoint] = &arguments[..] else {
        panic!("KIND connect|bind ENDPOINT");
    };
    match kind.as_str() {
        "dealer" => serve(DealerSocket::new(), way, endpoint).await,
        "req" => serve(ReqSocket::new(), way, endpoint).await,
        _ => serve(RepSocket::new(), way, endpoint).await,
    }
}
