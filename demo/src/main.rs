//! The gateway at work: `cargo demo`.
//!
//! The demo runs the gateway with this repository's `routes.yaml` and `schemas/`. The worker,
//! clients, publisher and subscribers are plain ZeroMQ sockets over TCP. The demo prints every
//! exchange, and exits with 0 if every result is as expected.

#[path = "../../examples/messages/mod.rs"]
mod messages;
mod peers;
mod printer;

use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use gateway::{Gateway, Handle, Ledger, Reason, ReloadOutcome};
use messages::Person;
use peers::{Answer, Client, Publisher, Result, Subscriber, Worker};
use printer::Printer;
use prost::Message;

fn main() -> ExitCode {
    match Demo::start().and_then(Demo::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Demo {
    printer: Printer,
    /// A copy of the repository's files, for the demo to edit.
    _directory: tempfile::TempDir,
    gateway: Handle,
    context: zmq::Context,
    worker: Worker,
    /// The number of requests and messages that were sent.
    sent: u64,
}

impl Demo {
    fn start() -> Result<Self> {
        let printer = Printer::for_stdout();
        let directory = copy_of_the_repository()?;
        // In this directory, diagnostics show short paths.
        env::set_current_dir(directory.path())?;
        let gateway = Gateway::from_path(ROUTES).watch(false).load()?;
        printer.title(&format!("The gateway serves {}", gateway.summary()));
        let gateway = gateway.start()?;
        for at in gateway.listening() {
            println!("{at} listens at {}", at.endpoint);
        }
        let context = zmq::Context::new();
        let worker = Worker::start(&context, &endpoint(&gateway, "people")?)?;
        Ok(Self {
            printer,
            _directory: directory,
            gateway,
            context,
            worker,
            sent: 0,
        })
    }

    fn run(mut self) -> Result<()> {
        let john = Person {
            id: 12345,
            name: "John Doe".into(),
            email: "jdoe@example.com".into(),
        };
        let (protobuf, msgpack) = (john.encode_to_vec(), rmp_serde::to_vec_named(&john)?);

        let title = "Requests that match their schema are answered by a worker";
        self.printer.title(title);
        self.answered("PROTOBUF", &protobuf, "Processed Protobuf: John Doe")?;
        self.answered("MSGPACK", &msgpack, "Processed MsgPack: John Doe")?;

        let title = "Requests that do not match are rejected, and no worker receives them";
        self.printer.title(title);
        // Field 2 announces eight bytes, and only four follow.
        self.violates("PROTOBUF", b"\x08\x07\x12\x08John", "name", 4)?;
        // {"id": "7", "name": "John"}
        self.violates("MSGPACK", b"\x82\xa2id\xa17\xa4name\xa4John", "id", 4)?;
        self.rejected("PIGEON", b"coo", Reason::UnknownType)?;

        let title = "A worker dies while it holds a request, and the client is notified at once";
        self.printer.title(title);
        let poison = Person {
            name: peers::POISON.into(),
            ..Person::default()
        };
        self.rejected("PROTOBUF", &poison.encode_to_vec(), Reason::WorkerLost)?;
        println!("another worker connects");
        self.worker = Worker::start(&self.context, &endpoint(&self.gateway, "people")?)?;
        self.answered("PROTOBUF", &protobuf, "Processed Protobuf: John Doe")?;

        let title = "An edit of routes.yaml takes effect between two messages";
        self.printer.title(title);
        self.edit("routes:\n", ADDED_ROUTE, ReloadOutcome::Applied)?;
        let json = br#"{"id": 7, "name": "Jane"}"#;
        self.answered("JSON", json, "Processed Json: Jane")?;
        self.violates("JSON", br#"{"id": 7, "name": 42}"#, "name", 18)?;

        let title =
            "A live edit adds a channel, which delivers only messages that match the schema";
        self.printer.title(title);
        self.edit("routes:\n", ADDED_CHANNEL, ReloadOutcome::Applied)?;
        // The text of field 2 is not UTF-8.
        self.publish(b"\x12\x04J\xffhn", &protobuf)?;

        let title = "A broken edit changes nothing";
        self.printer.title(title);
        self.edit(
            "json: demo.Person",
            "json: demo.Persn",
            ReloadOutcome::Invalid,
        )?;
        self.answered("JSON", json, "Processed Json: Jane")?;

        self.end()
    }

    /// Sends a request that a worker should answer with `text`.
    fn answered(&mut self, kind: &str, payload: &[u8], text: &str) -> Result<()> {
        let answer = self.ask(kind, payload)?;
        expect(
            &answer,
            matches!(&answer, Answer::Reply(reply) if reply == text),
        )?;
        expect(&answer, self.worker.took(kind))
    }

    /// Sends a request whose `field` is wrong at byte `offset` of its payload.
    fn violates(&mut self, kind: &str, payload: &[u8], field: &str, offset: u64) -> Result<()> {
        let answer = self.ask(kind, payload)?;
        expect(&answer, answer.is_rejected_for(Reason::SchemaViolation))?;
        expect(&answer, answer.place() == (field, Some(offset)))?;
        expect(&answer, !self.worker.took(kind))
    }

    /// Sends a request that the gateway should reject for `reason`.
    fn rejected(&mut self, kind: &str, payload: &[u8], reason: Reason) -> Result<()> {
        let answer = self.ask(kind, payload)?;
        expect(&answer, answer.is_rejected_for(reason))?;
        expect(
            &answer,
            self.worker.took(kind) == (reason == Reason::WorkerLost),
        )
    }

    /// Publishes a broken message and then a valid message. Fails unless the first message that
    /// each subscriber receives is the valid one, even for a subscriber that connects afterwards.
    fn publish(&mut self, broken: &[u8], valid: &[u8]) -> Result<()> {
        let kind = "TICK";
        let subscribers = endpoint(&self.gateway, "ticks.subscribers")?;
        let subscriber = Subscriber::connect(&self.context, &subscribers, kind)?;
        let publisher = endpoint(&self.gateway, "ticks.publishers")?;
        let publisher = Publisher::connect(&self.context, &publisher)?;
        for payload in [broken, valid] {
            publisher.publish(kind, payload)?;
            self.sent += 1;
        }
        let received = subscriber.receive()?;
        self.printer.message("publisher → gateway", kind, broken);
        self.printer
            .message("publisher → gateway → subscriber", kind, &received);
        let late = Subscriber::connect(&self.context, &subscribers, kind)?;
        let kept = late.receive()?;
        self.printer
            .message("gateway → late subscriber", kind, &kept);
        if (&received[..], &kept[..]) == (valid, valid) {
            return Ok(());
        }
        Err("unexpected: a subscriber receives another message".into())
    }

    /// Sends one request from a client of its own, and prints the exchange.
    fn ask(&mut self, kind: &str, payload: &[u8]) -> Result<Answer> {
        // Clients are DEALER and REQ sockets in turn, because the gateway serves both.
        let socket = [zmq::DEALER, zmq::REQ][self.sent as usize % 2];
        self.sent += 1;
        let client = Client::connect(&self.context, socket, &endpoint(&self.gateway, "clients")?)?;
        let answer = client.ask(kind, payload)?;
        self.printer.exchange(socket, kind, payload, &answer);
        Ok(answer)
    }

    /// Replaces `from` with `to` in routes.yaml and reloads the file. Fails unless the outcome is
    /// `expected`.
    fn edit(&self, from: &str, to: &str, expected: ReloadOutcome) -> Result<()> {
        let edited = fs::read_to_string(ROUTES)?.replace(from, to);
        fs::write(ROUTES, edited)?;
        let report = self.gateway.reload().ok_or("the gateway has ended")?;
        self.printer.reload(&report);
        if report.outcome == expected {
            return Ok(());
        }
        Err(format!("unexpected: the reload is {:?}", report.outcome).into())
    }

    /// Ends the gateway. Fails unless every request and message that was sent is in the ledger
    /// exactly once: answered, published or rejected.
    fn end(self) -> Result<()> {
        self.gateway.drain();
        let ledger = self.gateway.wait()?;
        self.printer.title("The ledger balances");
        let Ledger {
            received,
            answered,
            published,
            ..
        } = ledger;
        let rejected: u64 = ledger.rejected.iter().sum();
        let reasons = Reason::ALL.iter().zip(ledger.rejected);
        let reasons: Vec<_> = reasons
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| format!("{count} {}", reason.label()))
            .collect();
        println!(
            "{received} messages received = {answered} answered by workers + {published} published \
             + {rejected} rejected by the gateway ({})",
            reasons.join(", ")
        );
        if (received, answered + published + rejected) != (self.sent, self.sent) {
            return Err(format!("unexpected: {} messages were sent", self.sent).into());
        }
        println!("Every request had exactly one answer. Next: README.md, \"Start\".");
        Ok(())
    }
}

const ROUTES: &str = "routes.yaml";
const PERSON: &str = "schemas/demo/person.proto";

const ADDED_ROUTE: &str = "routes:
  JSON: { schema: { json: demo.Person }, pool: people }
";

const ADDED_CHANNEL: &str = r#"channels:
  ticks: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0", keep: last }
routes:
  TICK: { schema: demo.Person, publish: ticks }
"#;

/// Returns a directory with copies of the repository's routes.yaml and its schema. The copy of
/// routes.yaml has free ports.
fn copy_of_the_repository() -> Result<tempfile::TempDir> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let directory = tempfile::tempdir()?;
    let mut routes = fs::read_to_string(repository.join(ROUTES))?;
    for address in ["tcp://*:5559", "tcp://*:5560"] {
        routes = routes.replace(address, "tcp://127.0.0.1:0");
    }
    fs::write(directory.path().join(ROUTES), routes)?;
    fs::create_dir_all(directory.path().join("schemas/demo"))?;
    fs::copy(repository.join(PERSON), directory.path().join(PERSON))?;
    Ok(directory)
}

fn endpoint(gateway: &Handle, name: &str) -> Result<String> {
    let endpoint = gateway.endpoint(name);
    endpoint.ok_or_else(|| format!("nothing listens as {name:?}").into())
}

/// Returns an error that contains the answer, unless `is_right` is true.
fn expect(answer: &Answer, is_right: bool) -> Result<()> {
    if is_right {
        return Ok(());
    }
    Err(format!("unexpected: {answer:?}").into())
}
