//! Tests of bounds that engine native keeps, and engine libzmq does not.
//!
//! - `channels`: Hostile publishers and subscribers are refused or bounded.
//! - `fair`: Many hostile peers together take bounded time and memory.
//! - `introductions`: INITIATEs that no honest client of CURVE sends are refused, and reveal
//!   nothing.
//! - `judged`: Payloads that take long to check delay no other peer.
//! - `long_work`: Work for peers of channels is never done in one long turn.
//! - `memory`: All peers together take no more memory than `limits.memory`.
//! - `sealed`: No message of an attack on CURVE is accepted, and no other peer is delayed.
//! - `subscribers`: Subscriptions beyond the limit, and messages from subscribers, reach no peer
//!   and cost no memory.
//! - `surface`: Each kind of attack alone costs bounded memory, and honest peers are served
//!   meanwhile.
//! - `together`: During all attacks at once, no message of honest peers is lost, and memory stays
//!   bounded.

mod channels;
mod fair;
mod introductions;
mod judged;
mod long_work;
mod memory;
pub mod sealed;
mod subscribers;
mod surface;
mod together;
