//! Tests that the demo succeeds, and prints the text in `expected.txt`: plain to a pipe, and in
//! colour to a terminal.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// The text that the demo prints after its addresses, whose ports differ each time.
const EXCHANGES: &str = include_str!("expected.txt");

#[test]
fn the_demo_succeeds_and_prints_no_colours_to_a_pipe() {
    let output = demo().output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{out}{err}");
    assert_eq!(err, "");
    let (addresses, exchanges) = out.split_at(out.find("Requests that match").unwrap());
    assert!(addresses.contains("pool people listens at tcp://127.0.0.1:"));
    assert_eq!(exchanges, EXCHANGES);
}

#[test]
fn the_demo_prints_colours_to_a_terminal() {
    let out = at_a_terminal(demo().env_remove("NO_COLOR"));
    for coloured in [
        // A title, an answer, a rejection, the carets below a wrong value, and two edits.
        "\x1b[1mRequests that match their schema are answered by a worker\x1b[0m",
        "\x1b[32mREPLY    \x1b[0m Processed Protobuf: John Doe",
        "\x1b[31mERROR    \x1b[0m schema_violation: name: ",
        " \x1b[31m^^^^\x1b[0m\n",
        "reload \x1b[32mapplied\x1b[0m",
        "reload \x1b[31minvalid\x1b[0m",
    ] {
        assert!(out.contains(coloured), "{coloured:?} is not in {out}");
    }
    // Without the colours, the text is the same as the text to a pipe.
    assert!(without_colours(&out).ends_with(EXCHANGES), "{out}");
}

#[test]
fn the_demo_respects_no_color() {
    let out = at_a_terminal(demo().env("NO_COLOR", "1"));
    assert!(out.ends_with(EXCHANGES), "{out}");
}

fn demo() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gateway-demo"))
}

/// Runs a program whose standard output is a terminal, and returns its output.
fn at_a_terminal(command: &mut Command) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let name = Path::new(name.to_str().unwrap());
    let other_end = OpenOptions::new().read(true).write(true).open(name);
    let mut child = command.stdout(other_end.unwrap()).spawn().unwrap();
    // A new output closes the command's copy of the other end, which would keep the terminal open.
    command.stdout(Stdio::null());
    let mut printed = Vec::new();
    // Reading fails once no process has the terminal open any more.
    let _ = File::from(terminal).read_to_end(&mut printed);
    assert!(child.wait().unwrap().success());
    String::from_utf8(printed).unwrap().replace("\r\n", "\n")
}

/// Returns the text without the sequences that select a colour, `ESC [ … m`.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}
