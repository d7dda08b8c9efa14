//! A peer that uses the crate `zeromq`, for `../program.py`, which describes the arguments and
//! commands.

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use zeromq::{
    DealerSocket, PubSocket, RepSocket, ReqSocket, Socket, SocketRecv, SocketSend, SubSocket,
    XPubSocket, XSubSocket, ZmqMessage, ZmqResult,
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
    let has_pattern = frame[..] == pattern(frame.len());
    format!("{}{}", if has_pattern { '#' } else { '!' }, frame.len())
}

/// A socket of any type that the tests use.
enum Peer {
    Dealer(DealerSocket),
    Req(ReqSocket),
    Rep(RepSocket),
    Pub(PubSocket),
    XPub(XPubSocket),
    Sub(SubSocket),
    XSub(XSubSocket),
}

impl Peer {
    fn new(kind: &str) -> Self {
        match kind {
            "dealer" => Self::Dealer(DealerSocket::new()),
            "req" => Self::Req(ReqSocket::new()),
            "rep" => Self::Rep(RepSocket::new()),
            "pub" => Self::Pub(PubSocket::new()),
            "xpub" => Self::XPub(XPubSocket::new()),
            "sub" => Self::Sub(SubSocket::new()),
            "xsub" => Self::XSub(XSubSocket::new()),
            _ => panic!("the crate has no {kind}"),
        }
    }

    /// Connects or binds, and returns the endpoint.
    async fn attach(&mut self, way: &str, endpoint: &str) -> ZmqResult<String> {
        match self {
            Self::Dealer(socket) => attach(socket, way, endpoint).await,
            Self::Req(socket) => attach(socket, way, endpoint).await,
            Self::Rep(socket) => attach(socket, way, endpoint).await,
            Self::Pub(socket) => attach(socket, way, endpoint).await,
            Self::XPub(socket) => attach(socket, way, endpoint).await,
            Self::Sub(socket) => attach(socket, way, endpoint).await,
            Self::XSub(socket) => attach(socket, way, endpoint).await,
        }
    }

    async fn send(&mut self, message: ZmqMessage) -> ZmqResult<()> {
        match self {
            Self::Dealer(socket) => socket.send(message).await,
            Self::Req(socket) => socket.send(message).await,
            Self::Rep(socket) => socket.send(message).await,
            Self::Pub(socket) => socket.send(message).await,
            Self::XPub(socket) => socket.send(message).await,
            Self::XSub(socket) => socket.send(message).await,
            Self::Sub(_) => panic!("a SUB does not send"),
        }
    }

    async fn recv(&mut self) -> ZmqResult<ZmqMessage> {
        match self {
            Self::Dealer(socket) => socket.recv().await,
            Self::Req(socket) => socket.recv().await,
            Self::Rep(socket) => socket.recv().await,
            Self::XPub(socket) => socket.recv().await,
            Self::Sub(socket) => socket.recv().await,
            Self::XSub(socket) => socket.recv().await,
            Self::Pub(_) => panic!("a PUB does not receive"),
        }
    }

    async fn subscribe(&mut self, prefix: &str) -> ZmqResult<()> {
        match self {
            Self::Sub(socket) => socket.subscribe(prefix).await,
            Self::XSub(socket) => socket.subscribe(prefix).await,
            _ => panic!("only SUB and XSUB subscribe"),
        }
    }

    async fn unsubscribe(&mut self, prefix: &str) -> ZmqResult<()> {
        match self {
            Self::Sub(socket) => socket.unsubscribe(prefix).await,
            Self::XSub(socket) => socket.unsubscribe(prefix).await,
            _ => panic!("only SUB and XSUB subscribe"),
        }
    }
}

async fn attach(socket: &mut impl Socket, way: &str, endpoint: &str) -> ZmqResult<String> {
    if way == "connect" {
        socket.connect(endpoint).await?;
        return Ok(endpoint.to_owned());
    }
    Ok(socket.bind(endpoint).await?.to_string())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ZmqResult<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, way, endpoint] = &arguments[..] else {
        panic!("KIND connect|bind ENDPOINT");
    };
    let mut peer = Peer::new(kind);
    println!("ready {}", peer.attach(way, endpoint).await?);
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await.expect("standard input") {
        let mut words = line.split_whitespace();
        let command = words.next().expect("a command");
        let frames: Vec<Bytes> = words.map(read).collect();
        match command {
            "+" => peer.subscribe(text(&frames)).await?,
            "-" => peer.unsubscribe(text(&frames)).await?,
            ">" => {
                let message = ZmqMessage::try_from(frames).expect("at least one frame");
                peer.send(message).await?;
            }
            _ => {
                let message = peer.recv().await?;
                let shown: Vec<String> = message.iter().map(show).collect();
                println!("{}", shown.join(" "));
            }
        }
    }
    Ok(())
}

/// Returns the prefix in the frames of a command. The crate takes a prefix as a string.
fn text(frames: &[Bytes]) -> &str {
    str::from_utf8(&frames[0]).expect("a prefix that is text")
}
