//! The front end that runs the `protoc` program on the PATH.
//!
//! protoc reads copies of the texts in a temporary directory. It therefore compiles the same texts
//! under the same names as the built-in compiler, even if the original files change meanwhile.
//! Well-known types come from the gateway unless the user's files include them. The verdict of
//! protoc is final. Its output on stderr becomes diagnostics at the places in the original files.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use protobuf::Message as _;
use protobuf::descriptor::FileDescriptorSet;
use tempfile::TempDir;

use crate::descriptors::CompiledFile;
use crate::facts::Facts;
use crate::lazy::LazyDescriptor;
use crate::locations::Locations;
use crate::outline::NESTING_MAX;
use crate::places::Places;
use crate::sources::ProtoSources;
use crate::well_known;
use gateway_diagnostic::{Diagnostic, Diagnostics, escaped};

/// The time that protoc may take, ten times the time for all of googleapis (6 s).
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The maximum number of bytes of protoc's stderr that are kept. At most 200 errors are reported,
/// and protoc's output for them has about a tenth of this size. The rest of the output is read and
/// dropped.
const STDERR_MAX: u64 = 1 << 20;

/// The maximum number of lines of protoc's output that are reported although they name no place.
/// The first lines usually show the cause.
const UNPLACED_LINES_MAX: usize = 20;

/// The maximum length, in characters, of a reported line that names no place. The rest of the line
/// is cut off.
const UNPLACED_LINE_MAX: usize = 500;

/// The pause between two checks of protoc's exit status, after protoc has closed its stderr.
const END_PAUSE: Duration = Duration::from_millis(5);

/// The failure of a run of protoc. A failed run produces no descriptors.
struct Failure {
    /// The reason: an exit status, an I/O error or a timeout.
    why: String,
    /// The beginning of the output on stderr.
    stderr: String,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self {
            why: error.to_string(),
            stderr: String::new(),
        }
    }
}

/// Returns the descriptors of all files. If there are errors, adds them to `found` and returns no
/// descriptors.
pub(super) fn compile(sources: &ProtoSources, found: &mut Diagnostics) -> Vec<CompiledFile> {
    if sources.len() == 0 || refuse_too_deep(sources, found) {
        return Vec::new();
    }
    let Some(program) = on_path("protoc") else {
        found.push(
            Diagnostic::error("there is no protoc on the PATH, but proto.compiler asks for protoc").help(
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
    match run(&program, &copies) {
        Ok(files) => files,
        Err(failure) => {
            report(&failure, &prefix, sources, found);
            Vec::new()
        }
    }
}

/// Reports files that nest too deeply, as the built-in compiler does, because protoc would overflow
/// its stack. Returns whether there are such files.
fn refuse_too_deep(sources: &ProtoSources, found: &mut Diagnostics) -> bool {
    let mut any = false;
    for (_, source) in sources.iter() {
        if let Some(range) = source.outline.too_deep.clone() {
            any = true;
            let place = source.file.place_of_bytes(range);
            found.push(
                Diagnostic::error(format!("brackets nest more than {NESTING_MAX} deep")).at(place),
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

/// The texts as files, which are removed when this value is dropped.
struct Copies {
    directory: TempDir,
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
        // There may be more names than fit on a command line.
        fs::write(directory.path().join("list"), list)?;
        // protoc searches this directory after the texts, and before its own well-known types.
        let well_known = directory.path().join("well-known");
        for name in well_known::names() {
            let path = well_known.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&well_known))?;
            fs::write(&path, well_known::text(name).unwrap_or_default())?;
        }
        Ok(Self { directory })
    }

    fn texts(&self) -> PathBuf {
        self.directory.path().join("texts")
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }
}

/// Runs protoc on the copies, and returns the descriptors. Kills protoc once [`TIME_LIMIT`] has
/// passed.
fn run(program: &Path, copies: &Copies) -> Result<Vec<CompiledFile>, Failure> {
    let set = copies.path("set");
    let mut child = Command::new(program)
        .arg(format!("--proto_path={}", copies.path("texts")))
        .arg(format!("--proto_path={}", copies.path("well-known")))
        .arg(format!("--descriptor_set_out={set}"))
        .args(["--include_imports", "--include_source_info"])
        .arg(format!("@{}", copies.path("list")))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let ended = await_end(&mut child);
    if !matches!(ended, Ok(Some(_))) {
        // Killing protoc fails only if it has exited meanwhile.
        let _ = child.kill();
        child.wait()?;
    }
    let Some((status, stderr)) = ended? else {
        return Err(Failure {
            why: format!("no answer in {} s", TIME_LIMIT.as_secs()),
            stderr: String::new(),
        });
    };
    if !status.success() {
        let why = status.to_string();
        return Err(Failure { why, stderr });
    }
    let set = FileDescriptorSet::parse_from_bytes(&fs::read(set)?).map_err(io::Error::from)?;
    let files = set.file.into_iter().map(|mut file| {
        let locations = Locations::of(&file.source_code_info.take().unwrap_or_default());
        let facts = Arc::new(Facts::of(&file));
        CompiledFile::new(Arc::new(LazyDescriptor::new(file)), facts, locations)
    });
    Ok(files.collect())
}

/// Waits until protoc has ended, and returns its exit status with the beginning of its output on
/// stderr. Returns `None` once [`TIME_LIMIT`] has passed.
fn await_end(child: &mut Child) -> io::Result<Option<(ExitStatus, String)>> {
    let deadline = Instant::now() + TIME_LIMIT;
    let stderr = read_stderr(child)?;
    let Ok(stderr) = stderr.recv_timeout(TIME_LIMIT) else {
        return Ok(None);
    };
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some((status, stderr)));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(END_PAUSE);
    }
}

/// Reads protoc's output on stderr to its end, on a separate thread. Returns the receiver of the
/// beginning of the output.
fn read_stderr(child: &mut Child) -> io::Result<Receiver<String>> {
    let (sender, reported) = channel();
    let mut stderr = child.stderr.take();
    let read = move || {
        let mut kept = Vec::new();
        if let Some(stderr) = &mut stderr {
            // After a read error, the bytes that were read before it are kept.
            let _ = stderr.by_ref().take(STDERR_MAX).read_to_end(&mut kept);
            let _ = io::copy(stderr, &mut io::sink());
        }
        // After the time limit, nothing receives the output.
        let _ = sender.send(String::from_utf8_lossy(&kept).into_owned());
    };
    thread::Builder::new()
        .name("protoc".to_owned())
        .spawn(read)?;
    Ok(reported)
}

/// Adds the diagnostics in protoc's output. `prefix` is the start of the paths that protoc was
/// given.
fn report(failure: &Failure, prefix: &str, sources: &ProtoSources, found: &mut Diagnostics) {
    let Failure { why, stderr } = failure;
    let before = found.errors();
    let mut unplaced = Vec::new();
    for line in stderr.lines() {
        match placed(line.strip_prefix(prefix).unwrap_or(line), sources) {
            Some(diagnostic) => found.push(diagnostic),
            None if line.is_empty() || unplaced.len() == UNPLACED_LINES_MAX => {}
            None => unplaced.push(excerpt(line)),
        }
    }
    // Lines without a place are consequences of the errors with a place.
    if found.errors() == before {
        let lines: String = unplaced.iter().map(|line| format!("\n{line}")).collect();
        found.push(Diagnostic::error(format!("protoc failed: {why}{lines}")));
    }
}

/// Returns an output line in printable form, cut to [`UNPLACED_LINE_MAX`] characters.
fn excerpt(line: &str) -> String {
    let line = escaped(Path::new(line));
    let mut chars = line.chars();
    let mut text: String = chars.by_ref().take(UNPLACED_LINE_MAX).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}

/// Parses a line `name:line:column: message`, or `name: message`. Returns `None` for any other
/// line, and if `sources` has no file with this name.
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
