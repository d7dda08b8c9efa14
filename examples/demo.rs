//! The gateway at work: `cargo run --release --example demo`.
//!
//! Runs the gateway by the routes.yaml of this repository (or the file named as the argument), a worker
//! and clients, all over TCP, and says what each sent and got. Exit code 0 if all was as it should be.

mod messages;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use gateway::{config, engine};
use messages::{Person, Rejection};
use prost::Message;

const ROUTES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/routes.yaml");

/// One request, and the answer that it should get.
struct Case {
    about: &'static str,
    socket: zmq::SocketType,
    kind: &'static str,
    payload: Vec<u8>,
    expected: Answer,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Reply(String),
    Refused {
        reason: String,
        field: String,
        offset: Option<u64>,
    },
}

fn main() -> ExitCode {
    let routes = std::env::args_os().nth(1);
    let routes = routes.map_or_else(|| PathBuf::from(ROUTES), PathBuf::from);
    match demo(&routes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn demo(routes: &Path) -> Result<(), Box<dyn Error>> {
    let loaded = config::load(routes).map_err(|found| found.render(false))?;
    println!("gateway  {}", loaded.summary());
    let gateway = engine::start(Arc::new(loaded.snapshot)).map_err(|error| {
        let routes = routes.display();
        format!(
            "{error}\nIf another program (a gateway?) has the port, end it, or change the port in \
             {routes}: the demo follows the file."
        )
    })?;
    for at in gateway.listening() {
        println!("gateway  {} {} at {}", at.role, at.name, at.endpoint);
    }
    let endpoint = |name| {
        let found = gateway.endpoint(name);
        found.ok_or_else(|| format!("the demo needs {name:?} in {}", routes.display()))
    };
    let (clients, workers) = (endpoint("clients")?, endpoint("people")?);

    let context = zmq::Context::new();
    let worker = context.socket(zmq::DEALER)?;
    worker.connect(&workers)?;
    // It waits for requests until the process ends.
    std::thread::spawn(move || work(&worker).map_err(|error| eprintln!("worker: {error}")));

    let cases = cases()?;
    let sent = cases.len() as u64;
    let mut surprises = 0;
    for case in cases {
        let socket = context.socket(case.socket)?;
        socket.set_rcvtimeo(5_000)?;
        socket.set_linger(0)?;
        socket.connect(&clients)?;
        println!(
            "\nclient   {:?} sends {} {}",
            case.socket, case.kind, case.about
        );
        let answer = ask(&socket, case.kind, &case.payload)?;
        if answer != case.expected {
            surprises += 1;
            println!("SURPRISE expected {:?}", case.expected);
        }
    }

    gateway.control().drain();
    let ledger = gateway.wait()?;
    let rejected: u64 = ledger.rejected.iter().sum();
    println!(
        "\ngateway  {} received = {} answered + {rejected} rejected",
        ledger.received, ledger.answered
    );
    if surprises > 0 || (ledger.received, ledger.answered + rejected) != (sent, sent) {
        return Err("Not all was as it should be.".into());
    }
    println!(
        "\nAll as it should be. Next: run `gateway` here (cargo run --release), the worker and the client \
         beside it\n(cargo run --example worker, … client), and edit routes.yaml: `gateway check` explains \
         every mistake."
    );
    Ok(())
}

fn cases() -> Result<Vec<Case>, rmp_serde::encode::Error> {
    let john = Person {
        id: 12345,
        name: "John Doe".into(),
        email: "jdoe@example.com".into(),
    };
    let reply = |text: &str| Answer::Reply(text.into());
    let refused = |reason: &str, field: &str, offset| Answer::Refused {
        reason: reason.into(),
        field: field.into(),
        offset,
    };
    Ok(vec![
        Case {
            about: "a person",
            socket: zmq::DEALER,
            kind: "PROTOBUF",
            payload: john.encode_to_vec(),
            expected: reply("Processed Protobuf: John Doe"),
        },
        Case {
            about: "a person",
            socket: zmq::DEALER,
            kind: "MSGPACK",
            payload: rmp_serde::to_vec_named(&john)?,
            expected: reply("Processed MsgPack: John Doe"),
        },
        Case {
            about: "a person",
            socket: zmq::REQ,
            kind: "PROTOBUF",
            payload: john.encode_to_vec(),
            expected: reply("Processed Protobuf: John Doe"),
        },
        Case {
            about: "of which routes.yaml says nothing",
            socket: zmq::DEALER,
            kind: "PIGEON",
            payload: b"coo".to_vec(),
            expected: refused("unknown_type", "", None),
        },
        Case {
            about: "a person whose name is cut off",
            socket: zmq::DEALER,
            kind: "PROTOBUF",
            // Field 2, eight bytes long, of which four follow.
            payload: b"\x12\x08John".to_vec(),
            expected: refused("schema_violation", "name", Some(2)),
        },
        Case {
            about: "a person without a name",
            socket: zmq::REQ,
            kind: "MSGPACK",
            // {"id": 7}
            payload: b"\x81\xa2id\x07".to_vec(),
            expected: refused("schema_violation", "name", Some(0)),
        },
    ])
}

fn ask(socket: &zmq::Socket, kind: &str, payload: &[u8]) -> Result<Answer, Box<dyn Error>> {
    socket.send_multipart([kind.as_bytes(), payload], 0)?;
    let frames = socket.recv_multipart(0)?;
    let [reply, payload] = &frames[..] else {
        return Err(format!("expected two frames, got {}", frames.len()).into());
    };
    if reply != b"ERROR" {
        let text = String::from_utf8_lossy(payload);
        println!("client   gets {}: {text}", String::from_utf8_lossy(reply));
        return Ok(Answer::Reply(text.into_owned()));
    }
    let rejection = Rejection::decode_for(kind, payload)?;
    println!("client   gets ERROR: {rejection}");
    let Rejection {
        reason,
        field,
        offset,
        ..
    } = rejection;
    Ok(Answer::Refused {
        reason,
        field,
        offset,
    })
}

/// What a worker behind zmq_proxy does, unchanged: `[identity, type, payload]` in, the same out.
fn work(socket: &zmq::Socket) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        let frames = socket.recv_multipart(0)?;
        let [identity, kind, payload] = &frames[..] else {
            return Err(format!("expected three frames, got {}", frames.len()).into());
        };
        let kind = String::from_utf8_lossy(kind);
        let (encoding, person) = match &*kind {
            "PROTOBUF" => ("Protobuf", Person::decode(&payload[..])?),
            _ => ("MsgPack", rmp_serde::from_slice(payload)?),
        };
        let name = String::from_utf8_lossy(identity);
        println!("worker   got {kind} from {name}: {} bytes", payload.len());
        let answer = format!("Processed {encoding}: {}", person.name);
        socket.send_multipart([&identity[..], b"REPLY", answer.as_bytes()], 0)?;
    }
}
