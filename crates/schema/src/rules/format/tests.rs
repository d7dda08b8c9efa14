//! Test cases of each format, and comparisons of most formats with a regular expression made from
//! the grammar in its specification.

use regex::Regex;

use super::*;

/// A format, with texts that have the format and texts that do not.
struct Case {
    name: &'static str,
    accepts: fn(&str) -> bool,
    right: &'static [&'static str],
    wrong: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "email",
        accepts: is_email,
        right: &[
            "ada@example.org",
            "a@b",
            "a.+b_/~`{|}@x-y.Z",
            "..@1.2.3.4",
            "a@b.123",
        ],
        wrong: &[
            "", "@", "a@", "@b", "a b@c", "a@b@c", "a@b.", "a@.b", "a@-b", "a@b-", "a@b_c", "é@b",
            "a@é", "a@b\n",
        ],
    },
    Case {
        name: "hostname",
        accepts: is_hostname,
        right: &[
            "a",
            "a.",
            "A-1.b",
            "1.a",
            "a.1a",
            "xn--bcher-kva.example",
            "1-1",
        ],
        wrong: &[
            "", ".", "a..", ".a", "a..b", "-a", "a-", "a.-b", "1", "a.1", "a.1.", "a_b", "a b",
            "é", "a\n",
        ],
    },
    Case {
        name: "IP address",
        accepts: |text| is_ip(text, IpVersion::Any),
        right: &[
            "0.0.0.0",
            "255.255.255.255",
            "::",
            "::1",
            "1::",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
            "1:2:3:4:5:6:1.2.3.4",
            "::1.2.3.4",
            "1:2:3:4:5::1.2.3.4",
            "aBcD::",
            "fe80::a%en1",
            "::%%",
            "::1.2.3.4%e",
        ],
        wrong: &[
            "",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.3.04",
            "1.2.3.4%e",
            " 1.2.3.4",
            "1.2.3.4\n",
            ":",
            ":::",
            "1",
            "1:",
            ":1",
            "1::2::3",
            "12345::",
            "g::",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7:8::",
            "::%",
            "::%\0",
            "::%e\0",
            "1:2:3:4:5:6::1.2.3.4",
            "1:2:3:4:5:6:7::1.2.3.4",
            "1:2:3:4:5:6:7:1.2.3.4",
            "1.2.3.4::",
            "[::]",
        ],
    },
    Case {
        name: "IPv4 address",
        accepts: |text| is_ip(text, IpVersion::V4),
        right: &["127.0.0.1"],
        wrong: &["::1", "::1.2.3.4", "1.2.3.4%e"],
    },
    Case {
        name: "IPv6 address",
        accepts: |text| is_ip(text, IpVersion::V6),
        right: &["::1", "::1.2.3.4"],
        wrong: &["127.0.0.1"],
    },
    Case {
        name: "IP address with prefix length",
        accepts: |text| is_ip_prefix(text, IpVersion::Any, HostBits::Any),
        right: &[
            "1.2.3.4/0",
            "1.2.3.4/32",
            "::1/0",
            "::1/128",
            "::1.2.3.4/96",
        ],
        wrong: &[
            "",
            "/",
            "1.2.3.4",
            "1.2.3.4/",
            "1.2.3.4/33",
            "1.2.3.4/08",
            "1.2.3.4/+8",
            "1.2.3.4/8/",
            "1.2.3.4/256",
            "::/129",
            "::/999",
            "::%e/8",
            "::/8%e",
            "1.2.3/8",
        ],
    },
    Case {
        name: "IP prefix",
        accepts: |text| is_ip_prefix(text, IpVersion::Any, HostBits::Zero),
        right: &[
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.128.0/17",
            "1.2.3.4/32",
            "::/0",
            "8000::/1",
            "::1/128",
            "::1.2.3.0/120",
        ],
        wrong: &[
            "10.0.0.1/8",
            "10.1.128.0/16",
            "1.2.3.4/29",
            "0.0.0.1/0",
            "8000::/0",
            "::1/127",
            "::1.2.3.1/120",
        ],
    },
    Case {
        name: "IPv4 prefix",
        accepts: |text| is_ip_prefix(text, IpVersion::V4, HostBits::Zero),
        right: &["10.0.0.0/8"],
        wrong: &["::/8", "10.0.0.1/8"],
    },
    Case {
        name: "IPv6 prefix",
        accepts: |text| is_ip_prefix(text, IpVersion::V6, HostBits::Zero),
        right: &["fd00::/8"],
        wrong: &["10.0.0.0/8", "fd00::1/8"],
    },
    Case {
        name: "URI",
        accepts: is_uri,
        right: &[
            "https://example.com/a/b?c=d#e",
            "a:",
            "a+.-1:",
            "urn:isbn:1",
            "a:b:c",
            "a:/b",
            "a:b//c",
            "a://",
            "a:///",
            "a://h:",
            "a://h:99999",
            "a://u:p@h",
            "a://@",
            "a://:@",
            "a://%C3%A9",
            "a://%41%e2%82%ac/%ff",
            "a://h?/?:@#/?:@",
            "a://[::1]",
            "a://[::1]:8",
            "a://[::1.2.3.4]",
            "a://[::1%25e%41-]",
            "a://[::1%25%C3%A9]",
            "a://[v1.x:y]",
            "a://[VFF.1]",
            "a:%00",
            "a:?",
            "a:#",
            "a://h#",
            "a://1.2.3.999",
        ],
        wrong: &[
            "",
            ":",
            ":a",
            "a",
            "a/b:c",
            "1a:",
            "é:",
            "a b:",
            "a: ",
            "a:é",
            "a:%",
            "a:%4",
            "a:%4g",
            "a:#b#",
            "a:[",
            "a://h:x",
            "a://h:1:2",
            "a://u@v@h",
            "a://[::1",
            "a://::1",
            "a://[::1]x",
            "a://x[::1]",
            "a://[]",
            "a://[1.2.3.4]",
            "a://[::1%e]",
            "a://[::1%25]",
            "a://[::1%25%C3]",
            "a://[v.x]",
            "a://[v1.]",
            "a://[v1x]",
            "a://[vg.x]",
            "a://%C3",
            "a://%C3x",
            "a://%C3:%A9",
            "a://%ff",
            "a://%F4%90%80%80",
            "a:\\",
            "a:\"",
            "a:<",
            "a:^",
            "a:`",
            "a:{",
            "a:|",
            "a:\n",
            "//h",
        ],
    },
    Case {
        name: "URI reference",
        accepts: is_uri_ref,
        right: &[
            "",
            "a:b",
            "//",
            "//h/p",
            "/p",
            "/p:q",
            "p",
            "p/q:r",
            "./p:q",
            "?q:",
            "#f:",
            "p?q#f",
            "@",
            "//[::1]:8",
            "///",
        ],
        wrong: &[
            ":", ":a", "1:a", "é", "%", "p:q r", "//h:x", "//[", "##", "/\n",
        ],
    },
    Case {
        name: "address",
        accepts: is_address,
        right: &["localhost", "1.2.3.4", "::1", "::1%e"],
        wrong: &["", "1.2.3", "[::1]", "a:1"],
    },
    Case {
        name: "host and port",
        accepts: |text| is_host_and_port(text, Port::Required),
        right: &[
            "a:0",
            "a.:65535",
            "1.2.3.4:80",
            "[::1]:80",
            "[::1%e]:80",
            "[::1%]]:80",
            "[::1%]:1]:80",
        ],
        wrong: &[
            "",
            ":",
            "a",
            "a:",
            ":1",
            "a:65536",
            "a:080",
            "a:00",
            "a:+1",
            "a:99999999999999999999",
            "a:1:2",
            "::1:80",
            "[::1]",
            "[::1]80",
            "[::1]:",
            "[]:80",
            "[a]:80",
            "[1.2.3.4]:80",
            "[::1:80",
            "a.1:80",
            "[",
            "[:1",
        ],
    },
    Case {
        name: "host and perhaps port",
        accepts: |text| is_host_and_port(text, Port::Optional),
        right: &["a", "a:80", "1.2.3.4", "[::1]", "[::1]:80", "[::1%a]:8]"],
        wrong: &["", ":", "a:", "[::1]:", "::1", "[::1]x", "[::1", "[]"],
    },
    Case {
        name: "UUID",
        accepts: is_uuid,
        right: &[
            "01234567-89ab-cdef-ABCD-EF0123456789",
            "00000000-0000-0000-0000-000000000000",
        ],
        wrong: &[
            "",
            "0123456789abcdefABCDEF0123456789",
            "01234567-89ab-cdef-ABCD-EF012345678",
            "01234567-89ab-cdef-ABCD-EF0123456789-",
            "0123456-789ab-cdef-ABCD-EF0123456789",
            "{1234567-89ab-cdef-ABCD-EF0123456789",
            "g1234567-89ab-cdef-ABCD-EF0123456789",
        ],
    },
    Case {
        name: "trimmed UUID",
        accepts: is_tuuid,
        right: &["0123456789abcdefABCDEF0123456789"],
        wrong: &[
            "",
            "0123456789abcdefABCDEF012345678",
            "0123456789abcdefABCDEF01234567890",
            "0123456789abcdefABCDEF012345678g",
        ],
    },
    Case {
        name: "ULID",
        accepts: is_ulid,
        right: &["01ARZ3NDEKTSV4RRFFQ69G5FAV", "7zzzzzzzzzzzzzzzzzzzzzzzzz"],
        wrong: &[
            "",
            "81ARZ3NDEKTSV4RRFFQ69G5FAV",
            "01ARZ3NDEKTSV4RRFFQ69G5FA",
            "01ARZ3NDEKTSV4RRFFQ69G5FAVV",
            "01ARZ3NDEKTSV4RRFFQ69G5FAI",
            "01ARZ3NDEKTSV4RRFFQ69G5FAu",
            "!1ARZ3NDEKTSV4RRFFQ69G5FAV",
        ],
    },
    Case {
        name: "full name",
        accepts: is_protobuf_fqn,
        right: &["a", "_", "a.b.C_1", "a._9"],
        wrong: &["", ".", ".a", "a.", "a..b", "1a", "a.1", "a-b", "é", "a\n"],
    },
    Case {
        name: "full name with a dot in front",
        accepts: is_protobuf_dot_fqn,
        right: &[".a", ".a.b"],
        wrong: &["", ".", "a", "..a", ".a.", ".1"],
    },
    Case {
        name: "header name",
        accepts: |text| is_http_header_name(text, Header::Strict),
        right: &["Content-Type", ":path", "a,b", "!#$%&'*+-.^_|~`"],
        wrong: &["", ":", "::a", "a:", "a b", "a/b", "a\"", "é", "a\n"],
    },
    Case {
        name: "header name, loosely",
        accepts: |text| is_http_header_name(text, Header::Loose),
        right: &["a", ":", "::a", "a b", "é", "\t\u{7f}"],
        wrong: &["", "\0", "a\r", "a\nb"],
    },
    Case {
        name: "header value",
        accepts: |text| is_http_header_value(text, Header::Strict),
        right: &["", "text/html; charset=utf-8", "\t é\u{80}"],
        wrong: &["\0", "\u{8}", "\n", "\r", "\u{1f}", "\u{7f}"],
    },
    Case {
        name: "header value, loosely",
        accepts: |text| is_http_header_value(text, Header::Loose),
        right: &["", "\u{1}\u{7f}é"],
        wrong: &["\0", "\n", "\r"],
    },
];

#[test]
fn each_format_accepts_and_rejects_the_texts_of_its_case() {
    for case in CASES {
        for text in case.right {
            assert!((case.accepts)(text), "{text:?} is no {}", case.name);
        }
        for text in case.wrong {
            assert!(!(case.accepts)(text), "{text:?} is a {}", case.name);
        }
    }
}

#[test]
fn hostnames_and_their_labels_have_a_maximum_length() {
    let label = "a".repeat(63);
    let name = |last: usize| format!("{label}.{label}.{label}.{}", "a".repeat(last));
    assert!(is_hostname(&name(61)) && is_hostname(&(name(61) + ".")));
    assert!(!is_hostname(&name(62)) && !is_hostname(&(name(62) + ".")));
    assert!(!is_hostname(&"a".repeat(64)) && !is_email(&format!("a@{}", "a".repeat(64))));
    // The HTML standard limits the length of each label, but not the length of the whole domain.
    assert!(is_email(&format!("a@{}", name(63))));
}

#[test]
fn an_ip_version_is_4_or_6_or_either() {
    let versions = [-1, 0, 1, 4, 6, i64::MAX].map(IpVersion::from_number);
    let [any, four, six] = [IpVersion::Any, IpVersion::V4, IpVersion::V6].map(Some);
    assert_eq!(versions, [None, any, None, four, six, None]);
}

#[test]
fn infinities_are_distinguished_by_sign() {
    let [plus, minus] = [f64::INFINITY, f64::NEG_INFINITY];
    assert!(is_inf(plus, 0) && is_inf(plus, 1) && !is_inf(plus, -1));
    assert!(is_inf(minus, 0) && is_inf(minus, i64::MIN) && !is_inf(minus, i64::MAX));
    assert!(
        [f64::NAN, 0.0, f64::MAX]
            .iter()
            .all(|&value| !is_inf(value, 0))
    );
}

// The grammars, as their specifications define them.

const HEX4: &str = "[0-9A-Fa-f]{1,4}";
const OCTET: &str = "(?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])";
const LABEL: &str = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
fn ipv4() -> String {
    format!(r"(?:{OCTET}\.{OCTET}\.{OCTET}\.{OCTET})")
}

/// Returns a pattern of IPv6 addresses: the nine alternatives in RFC 3986, section 3.2.2.
fn ipv6() -> String {
    let last = format!("(?:{HEX4}:{HEX4}|{})", ipv4());
    let mut ways = vec![format!("(?:{HEX4}:){{6}}{last}")];
    for before in 0..=7usize {
        let begin = match before {
            0 => String::new(),
            more => format!("(?:(?:{HEX4}:){{0,{}}}{HEX4})?", more - 1),
        };
        ways.push(match before {
            6 => format!("{begin}::{HEX4}"),
            7 => format!("{begin}::"),
            _ => format!("{begin}::(?:{HEX4}:){{{}}}{last}", 5 - before),
        });
    }
    format!("(?:{})", ways.join("|"))
}

fn hierarchy(first_segment: &str) -> String {
    let unreserved = "[A-Za-z0-9._~-]";
    let escape = "%[0-9A-Fa-f]{2}";
    let delimiter = "[!$&'()*+,;=]";
    let pchar = format!("(?:{unreserved}|{escape}|{delimiter}|[:@])");
    let name = format!("(?:{unreserved}|{escape}|{delimiter})*");
    let user = format!("(?:{unreserved}|{escape}|{delimiter}|:)*");
    let zone = format!("(?:%25(?:{unreserved}|{escape})+)?");
    let future = format!("[vV][0-9A-Fa-f]+\\.(?:{unreserved}|{delimiter}|:)+");
    let host = format!("(?:\\[(?:{}{zone}|{future})\\]|{name})", ipv6());
    let segments = format!("(?:/{pchar}*)*");
    let first = first_segment.replace("PCHAR", &pchar);
    let path = format!(
        "(?://(?:{user}@)?{host}(?::[0-9]*)?{segments}|/(?:{pchar}+{segments})?|{first}{segments}|)"
    );
    format!("{path}(?:\\?(?:{pchar}|[/?])*)?(?:#(?:{pchar}|[/?])*)?")
}

/// A format, a pattern of the texts that it accepts, and a pattern of exceptions. The format
/// rejects the exceptions even if they match the first pattern.
struct Grammar {
    accepts: fn(&str) -> bool,
    texts: String,
    except: &'static str,
}

impl Grammar {
    fn new(accepts: fn(&str) -> bool, texts: String) -> Self {
        // No text matches this pattern.
        let except = "[^\0-\u{10ffff}]";
        Self {
            accepts,
            texts,
            except,
        }
    }
}

fn grammars() -> Vec<Grammar> {
    let zone = r"(?:%[^\x00]+)?";
    let labels = format!("{LABEL}(?:\\.{LABEL})*");
    let uri = format!("[A-Za-z][A-Za-z0-9+.-]*:{}", hierarchy("PCHAR+"));
    let no_colon = "(?:[A-Za-z0-9._~!$&'()*+,;=@-]|%[0-9A-Fa-f]{2})+";
    let ipv4_prefix = format!("{}/(?:[0-9]|[12][0-9]|3[0-2])", ipv4());
    let ipv6_prefix = format!("{}/(?:[0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])", ipv6());
    let local = "[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+";
    vec![
        Grammar::new(is_email, format!("{local}@{labels}")),
        Grammar {
            except: r"(?:.*\.)?[0-9]+\.?",
            ..Grammar::new(is_hostname, format!(r"{labels}\.?"))
        },
        Grammar::new(|text| is_ip(text, IpVersion::V4), ipv4()),
        Grammar::new(|text| is_ip(text, IpVersion::V6), ipv6() + zone),
        Grammar::new(
            |text| is_ip_prefix(text, IpVersion::V4, HostBits::Any),
            ipv4_prefix,
        ),
        Grammar::new(
            |text| is_ip_prefix(text, IpVersion::V6, HostBits::Any),
            ipv6_prefix,
        ),
        // The escapes of a host must decode to UTF-8, which the grammar does not express. Texts
        // with escapes of bytes above 0x7f are therefore rejected both here and by the exceptions.
        Grammar {
            except: ".*%[89A-Fa-f].*",
            ..Grammar::new(|text| is_uri(text) && !has_high_escape(text), uri.clone())
        },
        Grammar {
            except: ".*%[89A-Fa-f].*",
            ..Grammar::new(
                |text| is_uri_ref(text) && !has_high_escape(text),
                format!("(?:{uri}|{})", hierarchy(no_colon)),
            )
        },
        Grammar::new(
            is_uuid,
            "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}".to_owned(),
        ),
        Grammar::new(
            is_ulid,
            "[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}".to_owned(),
        ),
        Grammar::new(
            is_protobuf_fqn,
            r"[A-Za-z_][A-Za-z_0-9]*(?:\.[A-Za-z_][A-Za-z_0-9]*)*".to_owned(),
        ),
        Grammar::new(
            |text| is_http_header_name(text, Header::Strict),
            ":?[0-9a-zA-Z!#$%&'*+-.^_|~`]+".to_owned(),
        ),
        Grammar::new(
            |text| is_http_header_value(text, Header::Strict),
            r"[^\x00-\x08\x0a-\x1f\x7f]*".to_owned(),
        ),
    ]
}

/// Returns whether `text` contains an escape of a byte above 0x7f.
fn has_high_escape(text: &str) -> bool {
    let mut escapes = text.split('%').skip(1);
    escapes.any(|escape| {
        escape.starts_with([
            '8', '9', 'a', 'b', 'c', 'd', 'e', 'f', 'A', 'B', 'C', 'D', 'E', 'F',
        ])
    })
}

/// Pieces that [`changed`] inserts into a text.
const PIECES: &[&str] = &[
    "", "0", "1", "25", "256", "7", "a", "F", "g", "Z", ":", "::", ".", "-", "_", "/", "//", "?",
    "#", "@", "[", "]", "%", "%25", "%4", "%41", "%zz", "1.2.3.4", "::1", " ", "\n", "\t", "\0",
    "é", "!", "+", "~", "^", "12", "128", "33", "ffff:", "v1.", "\u{7f}",
];

/// Returns `text` after up to three random replacements of at most two characters by one of
/// [`PIECES`].
fn changed(text: &str, random: &mut fastrand::Rng) -> String {
    let mut parts: Vec<char> = text.chars().collect();
    for _ in 0..random.usize(..4) {
        let at = random.usize(..=parts.len());
        let end = (at + random.usize(..3)).min(parts.len());
        let piece = PIECES[random.usize(..PIECES.len())];
        parts.splice(at..end, piece.chars());
    }
    parts.into_iter().collect()
}

#[test]
fn formats_agree_with_the_grammar_on_any_text() {
    let seeds: Vec<&str> = CASES
        .iter()
        .flat_map(|case| case.right.iter().chain(case.wrong))
        .copied()
        .collect();
    let mut random = fastrand::Rng::with_seed(7);
    let texts: Vec<String> = (0..20_000)
        .map(|_| changed(seeds[random.usize(..seeds.len())], &mut random))
        .collect();
    for grammar in grammars() {
        let whole = |pattern: &str| Regex::new(&format!(r"(?s)\A(?:{pattern})\z")).unwrap();
        let (fits, except) = (whole(&grammar.texts), whole(grammar.except));
        let mut right = 0;
        for text in &texts {
            let expected = fits.is_match(text) && !except.is_match(text);
            assert_eq!(
                (grammar.accepts)(text),
                expected,
                "{text:?}: {}",
                grammar.texts
            );
            right += u32::from(expected);
        }
        assert!(right > 20, "only {right} of {}", grammar.texts);
    }
}

#[test]
fn a_strict_prefix_is_followed_only_by_zero_bits() {
    let mut random = fastrand::Rng::with_seed(8);
    for _ in 0..10_000 {
        let (bits, length) = (random.u32(..) << random.u32(..32), random.u32(..=32));
        let address = std::net::Ipv4Addr::from_bits(bits);
        let zero = u64::from(bits) << length & 0xffff_ffff == 0;
        let text = format!("{address}/{length}");
        assert_eq!(
            is_ip_prefix(&text, IpVersion::Any, HostBits::Zero),
            zero,
            "{text}"
        );
        let (bits, length) = (random.u128(..) << random.u32(..128), random.u32(..=128));
        let address = std::net::Ipv6Addr::from_bits(bits);
        let zero = bits.checked_shl(length).unwrap_or(0) == 0;
        let text = format!("{address}/{length}");
        assert_eq!(
            is_ip_prefix(&text, IpVersion::V6, HostBits::Zero),
            zero,
            "{text}"
        );
    }
}
