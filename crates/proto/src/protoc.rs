//! The other front end: the `protoc` program on the PATH, run through protobuf-parse.
//!
//! protoc is given copies of the texts that were read, in a directory of their own: it judges the
//! same files under the same names as the built-in compiler, whatever happens to the originals
//! meanwhile. Well-known types are its own, or else the gateway's. Its verdict stands: nothing is
//! checked after it. What it writes to stderr becomes diagnostics at the originals' places.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use protobuf::descriptor::FileDescriptorProto;
use tempfile::TempDir;

use crate::outline::MAX_NESTING;
use crate::places::Places;
use crate::sources::ProtoSources;
use crate::well_known;
use gateway_diagnostic::{Diagnostic, Diagnostics};

/// How long protoc may take: many times what it needs for all of googleapis (6 s).
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// What protobuf-parse puts before protoc's stderr, which follows as Rust's debug text.
const STDERR_MARK: &str = "exited with non-zero code; stderr: ";

/// The descriptors of all files, or none; `found` says what protoc says.
pub(super) fn compile(sources: &ProtoSources, found: &mut Diagnostics) -> Vec<FileDescriptorProto> {
    if sources.len() == 0 || refuse_too_deep(sources, found) {
        return Vec::new();
    }
    let Some(program) = on_path("protoc") else {
        found.push(
            Diagnostic::error("there is no protoc on the PATH, which proto.compiler asks for").help(
                "install it (Debian: apt install protobuf-compiler; macOS: brew install protobuf),\nor leave proto.compiler out to use the built-in compiler",
            ),
        );
        return Vec::new();
    };
    let copies = match Copies::of(sources) {
        Ok(copies) => copies,
        Err(error) => {
            found.push(Diagnostic::error(format!(
                "can't write copies of the .proto files for protoc: {error}"
            )));
            return Vec::new();
        }
    };
    let prefix = format!("{}/", copies.texts().display());
    match run(program, copies) {
        Ok(files) => files,
        Err(said) => {
            report(&said, &prefix, sources, found);
            Vec::new()
        }
    }
}

/// As for the built-in compiler: protoc overflows its stack, too.
fn refuse_too_deep(sources: &ProtoSources, found: &mut Diagnostics) -> bool {
    let mut any = false;
    for (_, source) in sources.iter() {
        if let Some(range) = source.outline.too_deep.clone() {
            any = true;
            let place = source.file.place_of_bytes(range);
            found.push(
                Diagnostic::error(format!("brackets nest more than {MAX_NESTING} deep")).at(place),
            );
        }
    }
    any
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut candidates = std::env::split_paths(&path).map(|directory| directory.join(program));
    candidates.find(|candidate| candidate.is_file())
}

/// The texts as files; removed when dropped.
struct Copies {
    directory: TempDir,
    first: PathBuf,
}

impl Copies {
    fn of(sources: &ProtoSources) -> io::Result<Self> {
        let directory = TempDir::with_prefix("gateway-protoc-")?;
        let texts = directory.path().join("texts");
        let mut list = String::new();
        for (name, source) in sources.iter() {
            let path = texts.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&texts))?;
            fs::write(&path, &source.file.text)?;
            list.push_str(&format!("{}\n", path.display()));
        }
        let first = list.lines().next().map(PathBuf::from).unwrap_or_default();
        // More names than fit on a command line.
        fs::write(directory.path().join("list"), list)?;
        // Where protoc brings no well-known types, these are found.
        let well_known = directory.path().join("well-known");
        for name in well_known::names() {
            let path = well_known.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&well_known))?;
            fs::write(&path, well_known::text(name).unwrap_or_default())?;
        }
        Ok(Self { directory, first })
    }

    fn texts(&self) -> PathBuf {
        self.directory.path().join("texts")
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }
}

/// On a thread of its own, which is left behind if protoc hangs. Err: what is to be said.
fn run(program: PathBuf, copies: Copies) -> Result<Vec<FileDescriptorProto>, String> {
    let (tell, told) = channel();
    let work = move || {
        let list = format!("@{}", copies.path("list"));
        let outcome = protobuf_parse::Parser::new()
            .protoc()
            .protoc_path(&program)
            .include(copies.texts())
            .include(copies.path("well-known"))
            .input(&copies.first)
            .protoc_extra_args(["--include_source_info", &list])
            .capture_stderr()
            .parse_and_typecheck();
        let outcome = outcome.map(|parsed| parsed.file_descriptors);
        // Nobody listens after the time limit.
        let _ = tell.send(outcome.map_err(|error| format!("{error:#}")));
    };
    let thread = thread::Builder::new().name("protoc".to_owned()).spawn(work);
    thread.map_err(|error| error.to_string())?;
    match told.recv_timeout(TIME_LIMIT) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => Err(format!("no answer in {} s", TIME_LIMIT.as_secs())),
        Err(RecvTimeoutError::Disconnected) => Err("protobuf-parse failed".to_owned()),
    }
}

/// `prefix` stands before the names of files that protoc was given by path.
fn report(said: &str, prefix: &str, sources: &ProtoSources, found: &mut Diagnostics) {
    let stderr = said
        .split_once(STDERR_MARK)
        .map(|(_, quoted)| unquoted(quoted));
    let Some(stderr) = stderr else {
        return found.push(Diagnostic::error(format!("protoc failed: {said}")));
    };
    let before = found.errors();
    let mut loose = Vec::new();
    for line in stderr.lines() {
        match placed(line.strip_prefix(prefix).unwrap_or(line), sources) {
            Some(diagnostic) => found.push(diagnostic),
            None if line.is_empty() => {}
            None => loose.push(line),
        }
    }
    // Lines without a place say what follows from those with one.
    if found.errors() == before {
        found.push(Diagnostic::error(format!(
            "protoc failed: {}",
            loose.join("\n")
        )));
    }
}

/// `name:line:column: message`, or `name: message`.
fn placed(line: &str, sources: &ProtoSources) -> Option<Diagnostic> {
    let (name, source) = sources.iter().find(|(name, _)| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(':'))
    })?;
    let rest = &line[name.len() + 1..];
    let mut parts = rest.splitn(3, ':');
    let numbers = (
        parts.next()?.parse::<usize>(),
        parts.next().map(str::parse::<usize>),
    );
    let (place, message) = match numbers {
        (Ok(line), Some(Ok(column))) => {
            let (line, column) = (line.saturating_sub(1), column.saturating_sub(1));
            (Places::point(&source.file, line, column), parts.next()?)
        }
        _ => (source.file.place(1, 1, 1), rest),
    };
    let message = message.trim();
    Some(match message.strip_prefix("warning: ") {
        Some(warning) => Diagnostic::warning(warning).at(place),
        None => Diagnostic::error(message.trim_end_matches('.')).at(place),
    })
}

/// The text of which `quoted` is the start of what Rust's `{:?}` writes.
fn unquoted(quoted: &str) -> String {
    let mut text = String::new();
    let mut chars = quoted.chars().skip_while(|&c| c != '"').skip(1);
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some('u') => {
                    let digits: String = chars.by_ref().skip(1).take_while(|&c| c != '}').collect();
                    let code = u32::from_str_radix(&digits, 16)
                        .ok()
                        .and_then(char::from_u32);
                    text.extend(code);
                }
                Some(other) => text.push(other),
                None => break,
            },
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stderr_is_taken_out_of_its_debug_text() {
        let text = "a.proto:1:2: \"x\" isn't\n\tdefin\u{e9}d \\ \u{7}\r\n";
        assert_eq!(unquoted(&format!("{text:?} and more")), text);
        assert_eq!(unquoted("\"cut off\\"), "cut off");
    }
}
