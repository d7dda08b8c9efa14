//! The verdicts of both compilers on many directories. One process, `batch.py`, runs protoc for all
//! directories. If protoc crashes, another process continues with the next directory.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, compile};
use protobuf::Message;
use protobuf::descriptor::FileDescriptorSet;

/// The output that is recorded if a file crashes protoc.
pub const CRASHED: &str = "protoc crashed";

/// The verdicts of both compilers on the .proto files of one directory.
pub struct Judged {
    pub directory: PathBuf,
    /// True if the built-in compiler accepts the files. `ours_report` is its output.
    pub ours: bool,
    pub ours_report: String,
    /// True if protoc accepts the files. `theirs_report` is its output.
    pub theirs: bool,
    pub theirs_report: String,
    /// The differences between the descriptors of the two compilers.
    pub different: Vec<String>,
}

impl Judged {
    /// Returns the files with the verdicts of both compilers, for the message of a failed test.
    pub fn shown(&self) -> String {
        format!(
            "---- ours {} theirs {}\n{}\n{}{}{}\n",
            self.ours,
            self.theirs,
            texts(&self.directory),
            self.ours_report,
            self.theirs_report,
            self.different.join("\n")
        )
    }
}

/// Returns the Python interpreter next to the protoc that `GATEWAY_TEST_PROTOC` names. If the
/// variable is not set, prints a notice and returns `None`.
pub fn python() -> Option<PathBuf> {
    let Some(protoc) = std::env::var_os("GATEWAY_TEST_PROTOC") else {
        eprintln!("skipped: GATEWAY_TEST_PROTOC does not name the protoc of tests/venv.sh");
        return None;
    };
    Some(PathBuf::from(protoc).with_file_name("python"))
}

/// Compiles each directory with both compilers.
pub fn judge(python: &Path, directories: Vec<PathBuf>) -> Vec<Judged> {
    let ours: Vec<(bool, String)> = directories.iter().map(|d| ours(d)).collect();
    let mut verdicts = Vec::new();
    while verdicts.len() < directories.len() {
        verdicts.extend(theirs(python, &directories[verdicts.len()..]));
        if verdicts.len() < directories.len() {
            // Some invalid files crash protoc.
            verdicts.push(serde_json::json!({ "ok": false, "report": CRASHED, "different": [] }));
        }
    }
    let cases = directories.into_iter().zip(ours).zip(verdicts);
    let judged = cases.map(|((directory, (ours, ours_report)), theirs)| {
        let different = theirs["different"].as_array().unwrap().iter();
        Judged {
            directory,
            ours,
            ours_report,
            theirs: theirs["ok"].as_bool().unwrap(),
            theirs_report: theirs["report"].as_str().unwrap().to_owned(),
            different: different.map(|d| d.as_str().unwrap().to_owned()).collect(),
        }
    });
    judged.collect()
}

/// Returns protoc's verdicts up to the first directory that crashes its process.
fn theirs(python: &Path, directories: &[PathBuf]) -> Vec<serde_json::Value> {
    let mut child = Command::new(python)
        .arg("tests/protoc/batch.py")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let list: String = directories
        .iter()
        .map(|d| format!("{}\n", d.display()))
        .collect();
    let mut input = child.stdin.take().unwrap();
    // Another thread writes the input, since otherwise both processes could block on full pipes.
    let writer = thread::spawn(move || input.write_all(list.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let written = writer.join().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let verdicts: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    if verdicts.len() == directories.len() {
        written.unwrap();
        assert!(output.status.success());
    } else {
        // Verdicts are missing only if protoc crashed. A crash ends the process by a signal.
        assert_eq!(output.status.code(), None, "{}", output.status);
    }
    verdicts
}

fn ours(directory: &Path) -> (bool, String) {
    let mut found = Diagnostics::new();
    let compiled = compile(&[directory.to_path_buf()], Compiler::Builtin, &mut found);
    found.sort();
    let report = found
        .render(false)
        .replace(&format!("{}/", directory.display()), "");
    if let Some(compiled) = &compiled {
        let mut set = FileDescriptorSet::new();
        set.file = compiled.files().cloned().collect();
        let bytes = set.write_to_bytes().unwrap();
        fs::write(format!("{}.ours", directory.display()), bytes).unwrap();
    }
    (compiled.is_some(), report)
}

/// Returns the names and texts of the files of a case as one text.
pub fn texts(directory: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all += &texts(&path),
            false => {
                let text = fs::read_to_string(&path).unwrap();
                all += &format!("-- {}\n{text}\n", path.display());
            }
        }
    }
    all
}
