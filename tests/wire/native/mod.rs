//! Tests of the features that only engine native has.
//!
//! - `channels`: Kept messages, the counts of each subscriber, and the subscriptions that
//!   publishers of either version of ZMTP receive.
//! - `curve`: CURVE peers that connect and that listen are served, and unknown peers are refused.
//! - `greetings`: The gateway names its security mechanism once the peer has named its own.
//! - `keys`: Key files of `security` are added and removed, and the log explains mistakes of peers.
//! - `passwords`: Users of `plain` are admitted by their passwords, and edits of the file of users
//!   take effect.
//! - `plain`: Peers that send no type, clients behind a proxy, and probes.
//! - `workers`: A worker that is killed, is frozen or does not read loses its own requests only.
//! - `zmtp`: Handshakes, commands and frames written by hand are answered as ZMTP requires.

mod channels;
mod curve;
mod greetings;
mod keys;
mod passwords;
mod plain;
mod workers;
mod zmtp;
