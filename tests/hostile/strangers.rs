//! Tests that hostile peers can neither stop the gateway nor prevent it from serving other peers.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::ANN;
use crate::support::gateway::Gateway;
use crate::support::sockets::{answer, connected, receive, send, texts};
use crate::support::zmtp::{command, greeting, ready};

/// Asserts that other peers are served as if nothing had happened.
#[track_caller]
fn assert_serves(gateway: &Gateway) {
    assert_passes(&gateway.dealer(), &gateway.worker());
}

/// Asserts that a request of `client` and the answer of `worker` pass.
#[track_caller]
fn assert_passes(client: &zmq::Socket, worker: &zmq::Socket) {
    client.send_multipart([&b"PROTOBUF"[..], ANN], 0).unwrap();
    answer(worker, b"y");
    assert_eq!(texts(&receive(client)), ["REPLY", "y"]);
}

fn raw(gateway: &Gateway, name: &str) -> TcpStream {
    let endpoint = gateway.endpoint(name);
    TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap()
}

#[test]
fn other_protocols_on_the_ports_affect_no_peer() {
    let gateway = Gateway::people("");
    // The client and the worker connect before the strangers. Engine libzmq counts each connection
    // to the workers' address until its handshake fails. To the engine, the end of the last
    // stranger's connection would look like the loss of a worker that has just connected.
    let (client, worker) = (gateway.dealer(), gateway.worker());
    assert_passes(&client, &worker);
    let mut held = Vec::new();
    for name in ["clients", "people"] {
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"[..],
            // TLS, SSH, ZMTP 1.0 with a length of 2^63 - 1, the start of a ZMTP 3 greeting, and
            // nothing at all.
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00",
            b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00NULL",
            b"",
        ] {
            let mut stream = raw(&gateway, name);
            // The gateway may close the connection at once.
            let _ = stream.write_all(bytes);
            held.push(stream);
        }
    }
    assert_passes(&client, &worker);
}

/// A DEALER that speaks ZMTP 3.0 sends the header of a frame of 2^62 bytes.
#[test]
fn a_frame_of_a_huge_size_allocates_nothing() {
    let gateway = Gateway::people("");
    for name in ["clients", "people"] {
        let mut stream = raw(&gateway, name);
        let hello = [&greeting(0)[..], &command(&ready("DEALER", &[]))].concat();
        stream.write_all(&hello).unwrap();
        // After the gateway's greeting and READY, the handshake is complete.
        let mut greeting = [0; 64 + 2 + 6];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting[66..], b"\x05READY");
        stream.write_all(b"\x02\x40\0\0\0\0\0\0\0").unwrap();
        // The gateway disconnects. The bytes that it sent before do not matter.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_serves(&gateway);
}

#[test]
fn payloads_with_deep_nesting_or_false_lengths_are_violations() {
    let gateway = Gateway::people("");
    let client = gateway.dealer();
    let deep_groups = vec![0x0b; 1 << 20];
    let deep_lists = vec![0x91; 1 << 20];
    let payloads: [(&str, &[u8]); 6] = [
        ("PROTOBUF", &deep_groups),
        ("MSGPACK", &deep_lists),
        ("PROTOBUF", b"\x12\xff\xff\xff\xff\x0f"),
        ("MSGPACK", b"\xdf\xff\xff\xff\xff"),
        ("MSGPACK", b"\xc6\xff\xff\xff\xff"),
        ("PROTOBUF", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    ];
    for (kind, payload) in payloads {
        send(&client, &[kind.as_bytes(), payload]);
        let frames = receive(&client);
        assert_eq!(frames[0], b"ERROR");
        let payload = String::from_utf8_lossy(&frames[1]).into_owned();
        assert!(payload.contains("schema_violation"), "{payload}");
    }
    assert_serves(&gateway);
}

#[test]
fn a_client_that_never_reads_loses_its_answers_and_delays_no_other_client() {
    let mut gateway = Gateway::start(
        r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes: { OPAQUE: { pool: people }, PROTOBUF: { pool: people } }
limits: { client_bytes: 1MiB }
shutdown: { grace: 100ms }
"#,
    );
    let slow_reader = gateway.context.socket(zmq::DEALER).unwrap();
    slow_reader.set_rcvhwm(1).unwrap();
    slow_reader.set_sndhwm(0).unwrap();
    slow_reader.set_linger(0).unwrap();
    slow_reader.connect(&gateway.endpoint("clients")).unwrap();
    let worker = gateway.worker();
    // This number of answers exceeds the total capacity of the system's buffers, libzmq's queue and
    // the gateway's outbox.
    const ANSWERS: usize = 1_500;
    let answering = std::thread::spawn(move || {
        let large = vec![0; 100_000];
        for answered in 0.. {
            let request = receive(&worker);
            if request.last().is_some_and(|payload| payload == b"last") {
                send(&worker, &[&request[0][..], b"REPLY", b"y"]);
                return answered;
            }
            send(&worker, &[&request[0][..], b"REPLY", &large]);
        }
        unreachable!("requests are numbered without end");
    });
    for _ in 0..ANSWERS {
        send(&slow_reader, &["OPAQUE", "x"]);
    }
    // The gateway either continues to read from the slow reader, and drops answers for which there
    // is no room, or stops reading from it.
    let other = gateway.dealer();
    for _ in 0..100 {
        send(&other, &["PROTOBUF", "x"]);
        receive(&other);
    }
    send(&other, &["OPAQUE", "last"]);
    assert_eq!(texts(&receive(&other)), ["REPLY", "y"]);
    let answered: usize = answering.join().unwrap();
    gateway.control().drain();
    let ledger = gateway.running.take().unwrap().wait().unwrap();
    assert!(ledger.answered >= 101, "{ledger:?}");
    assert!(ledger.received > answered as u64, "{ledger:?}");
    assert_eq!(ledger.received, ledger.ended(), "{ledger:?}");
    assert!(ledger.client_slow > 0, "{ledger:?}");
}

/// A request whose client has disconnected is still processed, and its answer is counted.
#[test]
fn requests_of_disconnected_clients_are_processed_and_counted() {
    let gateway = Gateway::people("");
    let worker = gateway.worker();
    let client = gateway.context.socket(zmq::DEALER).unwrap();
    client.set_linger(1_000).unwrap();
    client.connect(&gateway.endpoint("clients")).unwrap();
    let monitor = close_monitor(&gateway, &client);
    send(&client, &["OPAQUE", "x"]);
    let request = receive(&worker);
    drop(client);
    monitor
        .recv_multipart(0)
        .expect("an event when the client's socket is closed");
    send(&worker, &[&request[0][..], b"REPLY", b"y"]);
    let ledger = gateway.end();
    assert_eq!(ledger.received, 1);
    // libzmq may or may not have noticed the disconnect, but the request must be counted.
    assert_eq!(ledger.answered + ledger.client_gone, 1);
}

/// Returns a socket that receives an event when `socket` is closed.
fn close_monitor(gateway: &Gateway, socket: &zmq::Socket) -> zmq::Socket {
    let events = i32::from(zmq::SocketEvent::MONITOR_STOPPED.to_raw());
    socket.monitor("inproc://closed", events).unwrap();
    connected(&gateway.context, zmq::PAIR, "inproc://closed")
}

#[test]
fn invalid_messages_from_workers_affect_no_other_peer() {
    let gateway = Gateway::people("");
    let worker = gateway.worker();
    for n in 0..200_usize {
        let frames = vec![vec![b'x'; n]; n % 40 + 1];
        send(&worker, &frames);
    }
    let client = gateway.dealer();
    send(&client, &["OPAQUE", "x"]);
    answer(&worker, b"y");
    assert_eq!(texts(&receive(&client)), ["REPLY", "y"]);
    assert_eq!(gateway.end().unsolicited, 200);
}
