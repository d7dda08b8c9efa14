//! The guard against requests that a browser sends on behalf of a web page.
//!
//! Access needs no password, so a web page must not gain the access of the user who visits it. Two
//! attacks are known. In the first attack, the page makes the browser send a request to this
//! address. Such a request has the header `Origin` or `Sec-Fetch-Site`. An old browser sends
//! neither header, but the request of an HTML form has a content type. In the second attack (DNS
//! rebinding), the attacker makes the host name of the page resolve to this address. The browser
//! then takes the gateway for the server of the page. The header `Host` contains the host name of
//! the page, whereas other clients on this machine send an address or `localhost`. Clients on other
//! machines may use a host name of the gateway, as in `prometheus.yml`. A request that only reads
//! may therefore have any host name, unless the request arrives at a loopback address.

use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, ORIGIN, TRANSFER_ENCODING};
use hyper::{Method, Request, StatusCode};

/// The status and the reason with which a request is refused.
pub(super) type Refusal = (StatusCode, &'static str);

/// Fails with a refusal if `request` must not be answered. `local` is true if the request arrived
/// at a loopback address of this machine.
pub(super) fn check<B>(request: &Request<B>, local: bool) -> Result<(), Refusal> {
    let headers = request.headers();
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            if (local || changes) && !host.to_str().is_ok_and(is_address) {
                let why =
                    "the Host header has a name: use an address, such as 127.0.0.1, or localhost";
                return Err((StatusCode::FORBIDDEN, why));
            }
        }
        (None, _) if !changes && !local => {}
        _ => return Err((StatusCode::BAD_REQUEST, "expected one Host header")),
    }
    if changes {
        check_change(headers)?;
    }
    Ok(())
}

fn check_change(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site") {
        let why = "a web page in a browser sent this request: use a tool such as curl -X POST";
        return Err((StatusCode::FORBIDDEN, why));
    }
    let empty = headers
        .get(CONTENT_LENGTH)
        .is_none_or(|length| length == "0");
    if !empty || headers.contains_key(TRANSFER_ENCODING) {
        return Err((
            StatusCode::PAYLOAD_TOO_LARGE,
            "expected no body: use `curl -X POST` without data",
        ));
    }
    if headers.contains_key(CONTENT_TYPE) {
        let why = "expected no Content-Type header: use `curl -X POST` without data";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    Ok(())
}

/// Returns whether a Host header has an IP address or `localhost`, which DNS cannot redirect.
fn is_address(host: &str) -> bool {
    let Ok(authority) = host.parse::<hyper::http::uri::Authority>() else {
        return false;
    };
    let host = authority.host();
    let v6 = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match v6 {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::Ipv4Addr>().is_ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_refused_as_hosts() {
        for address in [
            "127.0.0.1",
            "127.0.0.1:9559",
            "[::1]:9559",
            "LocalHost:1",
            "10.0.0.7",
        ] {
            assert!(is_address(address), "{address}");
        }
        let names = [
            "",
            "gateway:9559",
            "evil.example",
            "localhost.evil.example:9559",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "localhost.",
            "::1",
        ];
        for name in names {
            assert!(!is_address(name), "{name}");
        }
    }
}
