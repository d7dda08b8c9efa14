//! The text formats of `buf.validate`: the well-known rules of strings, and the functions of its
//! CEL library.
//!
//! Each function takes time linear in the length of the text, allocates nothing and cannot panic.
//! No function accepts the empty text, except [`is_uri_ref`] and [`is_http_header_value`], whose
//! grammars include the empty text.

mod byte;
mod header;
mod host;
mod identifier;
mod ip;
mod uri;

#[cfg(test)]
mod tests;

pub(crate) use header::{Header, is_http_header_name, is_http_header_value};
pub(crate) use host::{Port, is_address, is_email, is_host_and_port, is_hostname};
pub(crate) use identifier::{is_protobuf_dot_fqn, is_protobuf_fqn, is_tuuid, is_ulid, is_uuid};
pub(crate) use ip::{HostBits, IpVersion, is_ip, is_ip_prefix};
pub(crate) use uri::{is_uri, is_uri_ref};

/// Returns whether `value` is infinite and, unless `sign` is 0, has the same sign as `sign`.
pub(crate) fn is_inf(value: f64, sign: i64) -> bool {
    value.is_infinite() && (sign == 0 || (sign > 0) == (value > 0.0))
}
