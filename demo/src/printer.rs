//! Prints exchanges as text for people, in colour on a terminal.

use std::env;
use std::io::{self, IsTerminal};

use gateway::{Reason, Report};

use crate::peers::Answer;

/// ANSI codes.
const BOLD: &str = "1";
const GREEN: &str = "32";
const RED: &str = "31";

/// The column at which an exchange shows its payload.
const PAYLOAD_COLUMN: usize = 46;

/// Prints to standard output.
pub struct Printer {
    colour: bool,
}

impl Printer {
    /// Returns a printer that uses colour on a terminal, unless `NO_COLOR` is set.
    pub fn for_stdout() -> Self {
        // https://no-color.org
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            colour: wanted && io::stdout().is_terminal(),
        }
    }

    /// Prints a heading.
    pub fn title(&self, text: &str) {
        println!("\n{}", self.paint(BOLD, text));
    }

    /// Prints a request, the answer, and between them carets below the request's first wrong byte,
    /// if there is one.
    pub fn exchange(&self, socket: zmq::SocketType, kind: &str, payload: &[u8], answer: &Answer) {
        let client = format!("client ({socket:?})");
        let (to_worker, from_worker) = match answer {
            Answer::Reply(_) => (" → worker", " ← worker"),
            lost if lost.is_rejected_for(Reason::WorkerLost) => (" → worker", ""),
            Answer::Rejected(_) => ("", ""),
        };
        let hops = format!("{client:15} → gateway{to_worker}");
        println!("{hops:35} {kind:9} {}", shown(payload));
        if let (_, Some(offset)) = answer.place() {
            let (before, rest) = payload.split_at(payload.len().min(offset as usize));
            let (indent, width) = match rest.first() {
                Some(byte) => (shown(before).len(), shown(&[*byte]).len()),
                None => (shown(before).len(), 1),
            };
            let caret = self.paint(RED, &"^".repeat(width));
            println!("{:1$}{caret}", "", PAYLOAD_COLUMN + indent);
        }
        let hops = format!("{client:15} ← gateway{from_worker}");
        let (reply, text) = match answer {
            Answer::Reply(text) => (self.paint(GREEN, "REPLY    "), text.clone()),
            Answer::Rejected(rejection) => (self.paint(RED, "ERROR    "), rejection.to_string()),
        };
        println!("{hops:35} {reply} {text}");
    }

    /// Prints a message of a channel, after the peers between which it travels.
    pub fn message(&self, hops: &str, kind: &str, payload: &[u8]) {
        println!("{hops:35} {kind:9} {}", shown(payload));
    }

    /// Prints the outcome of an edit.
    pub fn reload(&self, report: &Report) {
        let (outcome, generation) = (report.outcome.label(), report.generation);
        let code = if report.outcome.is_good() { GREEN } else { RED };
        let outcome = self.paint(code, outcome);
        println!("reload {outcome}: {}, generation {generation}", report.plan);
        print!("{}", report.diagnostics.render(self.colour));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Returns the bytes as text, in which bytes that are not printable ASCII are written in hex.
fn shown(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            b' '..=b'~' => char::from(*byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        })
        .collect()
}
