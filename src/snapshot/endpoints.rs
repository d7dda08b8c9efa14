//! The addresses of frontends, pools and channels.

/// The addresses of a frontend, a pool or one side of a channel, in ZeroMQ's form: `tcp://*:5559`,
/// `ipc:///run/gateway`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Addresses that the gateway listens on.
    pub bind: Vec<String>,
    /// Addresses that the gateway connects to.
    pub connect: Vec<String>,
}
