//! Tests of greetings, which each side may send in pieces. The gateway names its mechanism once the
//! peer has named its own, or else after a second.

use std::io::Read as _;
use std::time::Instant;

use crate::support::gateway::engine_is;
use crate::support::process::Process;
use crate::support::sealed::pair::keys;
use crate::support::zmtp::{Raw, Received, command, message, ready};
use gateway_zmtp::greeting::{LENGTH, OPENING, naming};
use gateway_zmtp::mechanism::Mechanism;

/// The minimum wait for a peer's mechanism that the test accepts, in milliseconds. The gateway
/// waits for a second.
const WAIT_MIN_MS: u128 = 500;

/// A gateway with two frontends: `open` has no security, and `both` admits peers with any key or
/// without a key.
struct Gateway {
    process: Process,
    _files: tempfile::TempDir,
}

impl Gateway {
    fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let secret = files.path().join("gateway.key_secret");
        std::fs::write(&secret, format!("{}\n", &*keys().secret().to_z85())).unwrap();
        let process = Process::start(&format!(
            r#"
frontends:
  open: {{ bind: "tcp://127.0.0.1:0" }}
  both:
    bind: "tcp://127.0.0.1:0"
    security: {{ curve: {{ secret: {}, peers: any }}, anonymous: true }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0" }} }}
routes: {{ OPAQUE: {{ pool: people }} }}
"#,
            secret.display()
        ));
        Self {
            process,
            _files: files,
        }
    }

    fn connect(&self, frontend: &str) -> Raw {
        Raw::connect(&self.process.endpoint(&format!("frontend {frontend}")))
    }
}

/// Reads the next bytes of the gateway's greeting.
fn read<const N: usize>(raw: &mut Raw) -> [u8; N] {
    let mut bytes = [0; N];
    raw.stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// libzmq sends its mechanism once it has read the version of the other side.
#[test]
fn a_greeting_in_two_pieces_is_answered_by_the_mechanism_that_it_names() {
    if !engine_is("native") {
        return;
    }
    let gateway = Gateway::start();
    let cases = [
        ("open", Mechanism::Null),
        ("both", Mechanism::Null),
        ("both", Mechanism::Curve),
    ];
    for (frontend, mechanism) in cases {
        let greeting = naming(mechanism);
        let mut raw = gateway.connect(frontend);
        assert_eq!(read::<OPENING>(&mut raw), greeting[..OPENING]);
        raw.send(&greeting[..OPENING]);
        raw.send(&greeting[OPENING..]);
        assert_eq!(read::<{ LENGTH - OPENING }>(&mut raw), greeting[OPENING..]);
        if mechanism == Mechanism::Null {
            raw.send(&command(&ready("DEALER", &[])));
            assert!(matches!(raw.receive(), Received::Command(_)));
            raw.send(&message(&["NOBODY", ""]));
            assert_eq!(raw.receive_message()[0], b"ERROR");
        }
    }
}

/// A libzmq peer that reads a mechanism other than its own disconnects at once and never names its
/// mechanism. If the gateway named its mechanism to such a peer, the log could not name the
/// mechanism of the peer.
#[test]
fn a_peer_that_names_a_wrong_mechanism_receives_no_mechanism_and_is_logged() {
    if !engine_is("native") {
        return;
    }
    for (mechanism, remedy) in [
        (Mechanism::Curve, "there is no `security.curve` here"),
        (Mechanism::Plain, "there is no `security.plain` here"),
    ] {
        // Each case has a gateway of its own, because the log names only one mistake a minute for
        // each address of peers.
        let mut gateway = Gateway::start();
        let mut raw = gateway.connect("open");
        raw.send(&naming(mechanism));
        assert_eq!(
            read::<OPENING>(&mut raw),
            naming(Mechanism::Null)[..OPENING]
        );
        assert_eq!(
            raw.receive(),
            Received::End,
            "the peer receives no mechanism"
        );
        let line = gateway
            .process
            .await_line("frontend open: a connection is refused");
        let message = line["message"].as_str().unwrap();
        assert!(
            message.contains(mechanism.name()) && message.contains(remedy),
            "{message}"
        );
    }
}

#[test]
fn a_peer_that_waits_for_the_whole_greeting_receives_the_mechanism_after_a_second() {
    if !engine_is("native") {
        return;
    }
    let gateway = Gateway::start();
    for (frontend, mechanism) in [("open", Mechanism::Null), ("both", Mechanism::Curve)] {
        let began = Instant::now();
        let mut raw = gateway.connect(frontend);
        raw.send(&naming(mechanism)[..OPENING]);
        assert_eq!(read::<LENGTH>(&mut raw), naming(mechanism));
        assert!(
            began.elapsed().as_millis() >= WAIT_MIN_MS,
            "{:?}",
            began.elapsed()
        );
        raw.send(&naming(mechanism)[OPENING..]);
        if mechanism == Mechanism::Null {
            raw.send(&command(&ready("DEALER", &[])));
            assert!(matches!(raw.receive(), Received::Command(_)));
        }
        // The gateway names CURVE to the next peer before that peer names NULL, so the gateway
        // rejects the peer.
        let mut late = gateway.connect("both");
        late.send(&naming(Mechanism::Null)[..OPENING]);
        assert_eq!(read::<LENGTH>(&mut late), naming(Mechanism::Curve));
        late.send(&naming(Mechanism::Null)[OPENING..]);
        assert_eq!(late.receive(), Received::End);
    }
}
