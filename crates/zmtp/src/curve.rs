//! CURVE (RFC 26/CurveZMQ), as state machines without I/O. Connections are encrypted, and peers
//! identify each other by their public keys.
//!
//! Each state of a handshake is a type of its own, and each command turns a state into the next
//! one. No step can be left out or taken twice:
//!
//! | client | | server |
//! |---|---|---|
//! | [`Client`] | HELLO → | [`Server`] |
//! | [`AwaitsWelcome`] | ← WELCOME | [`AwaitsInitiate`] |
//! | | INITIATE → | [`Introduced`]: the user admits or refuses the client's key |
//! | [`AwaitsReady`] | ← READY | |
//! | [`Connected`] | ⇄ MESSAGE | [`Connected`] |
//!
//! ```
//! use std::sync::Arc;
//! use gateway_zmtp::command::Ready;
//! use gateway_zmtp::curve::{Client, FrameKind, KeyPair, Server};
//!
//! let (server_keys, client_keys) = (KeyPair::generate()?, KeyPair::generate()?);
//! let metadata = |socket: &str| Ready { socket_type: socket.into(), ..Ready::default() };
//!
//! let client = Client::new(client_keys.clone(), server_keys.public());
//! let server = Server::new(Arc::from([server_keys]));
//! let (client, hello) = client.hello()?;
//! let (server, welcome) = server.hello(&hello)?;
//! let (client, initiate) = client.welcome(&welcome, &metadata("DEALER"))?;
//! let introduced = server.initiate(&initiate)?;
//! assert_eq!(introduced.client(), client_keys.public());
//! let (mut server, ready) = introduced.accept(&metadata("ROUTER"))?;
//! let (mut client, _) = client.ready(&ready)?;
//!
//! let mut wire = Vec::new();
//! client.sealer.seal(FrameKind::Last, b"hello", &mut wire)?;
//! let body = &mut wire[2..]; // after flags and size
//! let frame = server.opener.open(body)?;
//! assert_eq!((frame.kind, frame.data), (FrameKind::Last, &b"hello"[..]));
//! # Ok::<(), gateway_zmtp::curve::CurveError>(())
//! ```

mod client;
mod crypto;
mod error;
mod frame;
mod keys;
mod large;
mod layout;
mod nonce;
mod server;
mod traffic;

pub use client::{AwaitsReady, AwaitsWelcome, Client};
pub use error::CurveError;
pub(crate) use frame::is_box;
pub use frame::{FrameKind, OVERHEAD};
pub use keys::{KeyPair, PublicKey, SecretKey};
pub use large::{LARGE_MIN, OpenWork, Opened, SealWork};
pub use server::{AwaitsInitiate, Introduced, Server};
pub use traffic::{Connected, Frame, Opener, Sealer};
