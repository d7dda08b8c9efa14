//! Tests of `gateway check`: the files that it accepts, the files that it rejects, and the exact
//! text of its diagnostics. The tests run the binary itself.
//!
//! `tests/config/configs/valid` has files that must pass. `tests/config/configs/invalid` has a file
//! (or a directory with a `routes.yaml`) for each error. The expected output is in `NAME.stderr`.
//! Run the tests with `BLESS=1` to regenerate this output, and review the diff.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::binary::binary;
use crate::pages::{configurations_in, pages};

const CONFIGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config/configs");

/// The maximum CPU time of a run with any file, for a debug build, in seconds.
const CPU_TIME_MAX: u32 = 20;

const FRONTENDS: &str = "frontends: { clients: { bind: \"tcp://*:5559\" } }\n";
const POOLS: &str = "pools: { people: { bind: \"tcp://*:5560\" } }\n";

/// The exit code and the output of a run.
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn gateway_in(directory: impl AsRef<Path>, arguments: &[&str]) -> Outcome {
    gateway_with_variables(directory, arguments, &[])
}

/// Runs the gateway with these variables in its environment.
fn gateway_with_variables(
    directory: impl AsRef<Path>,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Outcome {
    // The system kills a run that takes more CPU time, whatever else the machine does.
    let limited = format!("ulimit -t {CPU_TIME_MAX} && exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &limited, &binary()])
        .args(arguments)
        .current_dir(directory)
        .env_remove("RUST_LOG")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    Outcome {
        code: status.code(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

fn gateway(arguments: &[&str]) -> Outcome {
    gateway_in(CONFIGS, arguments)
}

/// Runs `gateway check` with a text as the routes.yaml.
fn check(text: impl AsRef<[u8]>) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("routes.yaml"), text).unwrap();
    let outcome = gateway_in(directory.path(), &["check"]);
    assert!(outcome.code.is_some(), "the run took too long");
    outcome
}

fn entries(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(CONFIGS).join(directory)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Returns the configurations in a directory of [`CONFIGS`]. Each entry has two paths: the path of
/// the routes.yaml relative to [`CONFIGS`], and the full path of the case, a file or a directory.
fn cases(directory: &str) -> Vec<(String, PathBuf)> {
    let config = |path: PathBuf| {
        let inner = path.join("routes.yaml");
        let config = match path.extension() {
            Some(extension) if extension == "yaml" => path.clone(),
            _ => Some(inner).filter(|inner| inner.is_file())?,
        };
        let shown = config.strip_prefix(CONFIGS).unwrap().to_str().unwrap();
        Some((shown.to_owned(), path))
    };
    entries(directory).into_iter().filter_map(config).collect()
}

// ---- the corpus

#[test]
fn valid_files_pass() {
    let cases = cases("valid");
    assert!(cases.len() >= 15, "{} cases", cases.len());
    for (config, _) in cases {
        let Outcome {
            code,
            stdout,
            stderr,
        } = gateway(&["check", "-c", &config]);
        assert_eq!((code, &*stderr), (Some(0), ""), "{config}");
        assert!(stdout.starts_with(&format!("{config}: ok: ")), "{stdout}");
        assert_eq!(stdout.lines().count(), 1, "{stdout}");
    }
}

#[test]
fn each_invalid_file_has_its_expected_diagnostics() {
    let bless = std::env::var_os("BLESS").is_some();
    let cases = cases("invalid");
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for (config, path) in cases {
        let Outcome {
            code,
            stdout,
            stderr,
        } = gateway(&["check", "-c", &config]);
        let expected = path.with_extension("stderr");
        if bless {
            fs::write(&expected, &stderr).unwrap();
        }
        let as_expected = stderr == fs::read_to_string(&expected).unwrap_or_default();
        if (code, &*stdout) != (Some(1), "") || !as_expected {
            wrong.push(format!("{config}: {code:?} {stdout}\n{stderr}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_expected_output_has_its_configuration() {
    let cases = cases("invalid");
    for path in entries("invalid") {
        if path
            .extension()
            .is_some_and(|extension| extension == "stderr")
        {
            let has_case = cases
                .iter()
                .any(|(_, case)| case.with_extension("stderr") == path);
            assert!(has_case, "{}", path.display());
        }
    }
}

/// A position is a file, a line and a column.
#[test]
fn every_expected_error_and_warning_has_a_position() {
    for (config, path) in cases("invalid") {
        let text = fs::read_to_string(path.with_extension("stderr")).unwrap();
        let directory = config.rsplit_once('/').unwrap().0;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.starts_with("error: ") || line.starts_with("warning: ") {
                let position = lines.next().unwrap_or_default().trim_start();
                let position = position
                    .strip_prefix("--> ")
                    .unwrap_or_else(|| panic!("{config}: {line}"));
                assert!(position.starts_with(directory), "{config}: {position}");
                let numbers: Vec<_> = position.rsplitn(3, ':').take(2).collect();
                assert!(
                    numbers
                        .iter()
                        .all(|n| n.parse::<u32>().is_ok_and(|n| n > 0)),
                    "{position}"
                );
            }
        }
    }
}

/// Each of the uncommon words has a more common synonym: "space", "after" and "take effect".
#[test]
fn expected_diagnostics_have_no_uncommon_words() {
    let is_uncommon = |line: &str| {
        let words = [" blank", " behind ", " take hold", " takes hold"];
        words.iter().find(|word| line.contains(**word)).copied()
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut lines = 0;
    for directory in [
        "tests/config/configs/invalid",
        "crates/proto/tests/protos/invalid",
    ] {
        for entry in fs::read_dir(root.join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_none_or(|extension| extension != "stderr")
            {
                continue;
            }
            for line in fs::read_to_string(&path).unwrap().lines() {
                // A line that quotes a checked file begins with a line number.
                let is_quoted = line.trim_start().starts_with(|c: char| c.is_ascii_digit());
                if !is_quoted {
                    lines += 1;
                    assert_eq!(is_uncommon(line), None, "{}: {line}", path.display());
                }
            }
        }
    }
    assert!(lines > 1_000, "{lines}");
}

// The tests below create files that are too large or too special for the repository.

#[test]
fn a_path_that_is_not_a_file_is_rejected() {
    // Opening the pipe would block until a program writes to it.
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let pipe = pipe.to_str().unwrap();
    for (path, expected) in [
        (
            "missing.yaml",
            "error: can't read missing.yaml: No such file",
        ),
        ("valid", "error: can't read valid/routes.yaml: No such file"),
        ("/dev/zero", "error: /dev/zero is not a file\n"),
        (pipe, "error: "),
    ] {
        let Outcome {
            code,
            stdout,
            stderr,
        } = gateway(&["check", "-c", path]);
        assert_eq!((code, &*stdout), (Some(1), ""), "{stderr}");
        assert!(
            stderr.starts_with(expected) && stderr.contains("help: "),
            "{stderr}"
        );
    }
}

#[test]
fn a_valid_file_above_the_maximum_size_is_rejected() {
    let start = format!("{FRONTENDS}{POOLS}routes: {{ A: {{ pool: people }} }}\n#");
    let largest = format!("{start}{}", "ü".repeat(((16 << 20) - start.len()) / 2));
    assert_eq!(check(&largest).code, Some(0));
    let outcome = check(format!("{largest}ü"));
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("routes.yaml is larger than 16 MiB"),
        "{}",
        outcome.stderr
    );
}

/// A configuration that takes values of every kind from environment variables.
const WITH_VARIABLES: &str = "\
frontends: { clients: { bind: \"tcp://*:${CLIENTS}\", errors: \"${ERRORS}\" } }
pools:
  people:
    bind: ${WORKERS:-tcp://*:5560}
    queue: ${QUEUE}
    timeout: ${SECONDS}s
  other: { bind: ipc:///tmp/other, heartbeat: \"${HEARTBEAT:-off}\", per_worker: \"${QUEUE}\" }
routes:
  A: { pool: \"${POOL}\" }
  B: { pool: other }
reload: { watch: \"${WATCH:-false}\" }
";

const VARIABLES: [(&str, &str); 5] = [
    ("CLIENTS", "5559"),
    ("ERRORS", "msgpack"),
    ("QUEUE", "10"),
    ("SECONDS", "7"),
    ("POOL", "people"),
];

#[test]
fn values_come_from_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("routes.yaml"), WITH_VARIABLES).unwrap();
    let check = |variables| gateway_with_variables(directory.path(), &["check"], variables);
    let outcome = check(&VARIABLES);
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
    // The value of a variable is checked as if it were written in the file.
    let mut invalid = VARIABLES;
    invalid[1].1 = "xml";
    invalid[2].1 = "ten";
    let outcome = check(&invalid);
    assert_eq!(outcome.code, Some(1));
    for error in [
        "\"errors\" can't be \"xml\"\n --> routes.yaml:1:61",
        "\"queue\" can't be \"ten\"\n --> routes.yaml:5:12",
        "\"per_worker\" can't be \"ten\"\n --> routes.yaml:7:80",
    ] {
        assert!(outcome.stderr.contains(error), "{}", outcome.stderr);
    }
}

#[test]
fn an_unset_variable_is_reported_at_its_position_without_further_errors() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("routes.yaml"), WITH_VARIABLES).unwrap();
    let outcome = gateway_with_variables(directory.path(), &["check"], &VARIABLES[3..]);
    assert_eq!(outcome.code, Some(1));
    let errors = outcome.stderr.matches("error: ").count();
    assert_eq!(errors, 4, "{}", outcome.stderr);
    for error in [
        "the environment variable CLIENTS is not set\n --> routes.yaml:1:40",
        "the environment variable ERRORS is not set\n --> routes.yaml:1:62",
        "the environment variable QUEUE is not set\n --> routes.yaml:5:12",
        "the environment variable QUEUE is not set\n --> routes.yaml:7:81",
    ] {
        assert!(
            outcome.stderr.contains(error),
            "{error}\n{}",
            outcome.stderr
        );
    }
    let json = gateway_with_variables(
        directory.path(),
        &["check", "--format", "json"],
        &VARIABLES[1..],
    );
    let reported: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&reported[0]["line"], &reported[0]["column"]),
        (&1.into(), &40.into()),
        "{reported}"
    );
}

#[test]
fn ten_thousand_routes_pass() {
    let route = |n| format!("  TYPE_{n}: {{ pool: people, timeout: 2s, frontends: [clients] }}\n");
    let routes: String = (0..10_000).map(route).collect();
    let outcome = check(format!("{FRONTENDS}{POOLS}routes:\n{routes}"));
    assert_eq!(
        outcome.stdout,
        "routes.yaml: ok: 10000 routes, 1 pool, 1 frontend, 0 messages\n"
    );
}

#[test]
fn fifty_thousand_routes_pass() {
    let route = |n| format!("  TYPE_{n}: {{ pool: people, timeout: 2s, frontends: [clients] }}\n");
    let routes: String = (0..50_000).map(route).collect();
    let outcome = check(format!("{FRONTENDS}{POOLS}routes:\n{routes}"));
    assert_eq!(
        outcome.stdout,
        "routes.yaml: ok: 50000 routes, 1 pool, 1 frontend, 0 messages\n"
    );
}

#[test]
fn errors_beyond_two_hundred_are_only_counted() {
    let routes: String = (0..60_000).map(|n| format!("  {n}: {{}}\n")).collect();
    let outcome = check(format!("{FRONTENDS}{POOLS}routes:\n{routes}"));
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.stderr.matches("has no pool").count(), 200);
    assert!(
        outcome
            .stderr
            .ends_with("\nand 59800 more errors\n\n60000 errors\n")
    );
}

/// Like the text, the JSON log has 200 errors. A last line has the number of the other errors.
#[test]
fn many_errors_are_logged_quickly() {
    let directory = tempfile::tempdir().unwrap();
    let routes: String = (0..20_000).map(|n| format!("  {n}: {{}}\n")).collect();
    let text = format!("{FRONTENDS}{POOLS}routes:\n{routes}");
    fs::write(directory.path().join("routes.yaml"), text).unwrap();
    let outcome = gateway_in(directory.path(), &["--log-format", "json"]);
    assert_eq!(
        (outcome.code, outcome.stderr.lines().count()),
        (Some(1), 201)
    );
}

#[test]
fn many_binds_are_checked_quickly() {
    let bind = |n: u32| format!("  - tcp://10.{}.{}.1:5559\n", n / 250, n % 250);
    let binds: String = (0..30_000).map(bind).collect();
    let outcome = check(format!(
        "frontends:\n clients:\n  bind:\n{binds}{POOLS}routes: {{ A: {{ pool: people }} }}\n"
    ));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}

#[test]
fn deep_nesting_overflows_no_stack() {
    for opening in ["[", "{a: ", "- ", "? ", "&a ", "!t ", "[*a, "] {
        let outcome = check(opening.repeat((1 << 20) / opening.len()));
        assert_eq!(outcome.code, Some(1), "{opening}");
        assert!(
            outcome.stderr.starts_with("error: "),
            "{opening}: {}",
            outcome.stderr
        );
    }
}

// ---- the command line

#[test]
fn warnings_are_printed_and_the_check_passes() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("routes.yaml"),
        format!("{FRONTENDS}pools:\n  people: {{ bind: \"tcp://*:5560\" }}\n  idle: {{ bind: \"tcp://*:5561\" }}\nroutes: {{ A: {{ pool: people }} }}\n"),
    )
    .unwrap();
    let outcome = gateway_in(directory.path(), &["check"]);
    assert_eq!(outcome.code, Some(0));
    assert_eq!(
        outcome.stdout,
        "routes.yaml: ok: 1 route, 2 pools, 1 frontend, 0 messages\n"
    );
    assert!(
        outcome
            .stderr
            .starts_with("warning: no route uses pool idle\n --> routes.yaml:4:3\n")
    );
    assert!(outcome.stderr.ends_with("\n1 warning\n"));
}

#[test]
fn doubtful_channels_cause_warnings() {
    let channels = |keep: &str, memory: &str| {
        format!(
            "channels:\n  \
               used: {{ publishers: \"tcp://*:5561\", subscribers: \"tcp://*:5562\", {keep} }}\n  \
               idle: {{ publishers: \"tcp://*:5563\", subscribers: \"tcp://*:5564\", {keep} }}\n\
             routes: {{ A: {{ publish: used }} }}\nlimits: {{ memory: {memory} }}\n"
        )
    };
    let idle = "warning: no route publishes on channel idle\n --> routes.yaml:3:3\n";
    let memory =
        "warning: channels may keep 134217728 bytes, more than the 134217727 of limits.memory";
    for (keep, memory_max, warnings) in [
        ("keep: none", "16MiB", vec![idle]),
        ("keep: last", "128MiB", vec![idle]),
        ("keep: last", "1%", vec![idle]),
        ("keep: last", "134217727B", vec![idle, memory]),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let text = channels(keep, memory_max);
        fs::write(directory.path().join("routes.yaml"), &text).unwrap();
        let outcome = gateway_in(directory.path(), &["check"]);
        assert_eq!(outcome.code, Some(0));
        let summary = "routes.yaml: ok: 1 route, 0 pools, 2 channels, 0 frontends, 0 messages\n";
        assert_eq!(outcome.stdout, summary);
        let found = outcome.stderr.matches("warning: ").count();
        assert_eq!(found, warnings.len(), "{text}{}", outcome.stderr);
        for warning in warnings {
            assert!(outcome.stderr.contains(warning), "{}", outcome.stderr);
        }
    }
}

#[test]
fn an_admin_address_beyond_loopback_causes_a_warning() {
    let open = "routes: { A: { pool: people } }\nadmin: { bind: \"*:9559\" }\n";
    let outcome = check(format!("{FRONTENDS}{POOLS}{open}"));
    assert_eq!(outcome.code, Some(0));
    let warning = "warning: admin can be reached from other machines\n --> routes.yaml:4:16\n";
    assert!(outcome.stderr.starts_with(warning), "{}", outcome.stderr);
    let loopback = open.replace('*', "127.0.0.9");
    assert_eq!(check(format!("{FRONTENDS}{POOLS}{loopback}")).stderr, "");
}

#[test]
fn usage_errors_exit_with_two() {
    for arguments in [
        &["chek"][..],
        &["check", "--confg", "x"],
        &["check", "-c"],
        &["check", "one", "two"],
        &["check", "-c", "one", "two"],
        &["-c", "one", "check", "two"],
        &["health", "extra"],
        &["init", "one", "two"],
        &["-c", "one", "init"],
        &["--log-format", "xml"],
    ] {
        let Outcome {
            code,
            stdout,
            stderr,
        } = gateway(arguments);
        assert_eq!((code, &*stdout), (Some(2), ""), "{arguments:?}");
        assert!(
            stderr.starts_with("error: ") && stderr.contains("--help"),
            "{stderr}"
        );
    }
}

#[test]
fn help_and_version_exit_with_zero() {
    let help = gateway(&["--help"]);
    assert_eq!((help.code, &*help.stderr), (Some(0), ""));
    for word in [
        "check",
        "run",
        "--config",
        "routes.yaml",
        "Exit codes",
        "RUST_LOG",
    ] {
        assert!(help.stdout.contains(word), "{word}: {}", help.stdout);
    }
    let version = gateway(&["--version"]);
    assert_eq!((version.code, &*version.stderr), (Some(0), ""));
    assert_eq!(
        version.stdout,
        format!("gateway {}\n", env!("GATEWAY_VERSION"))
    );
}

/// Between two releases, the version number alone does not identify the source code.
#[test]
fn the_version_names_the_commit_of_a_clone() {
    let version = gateway(&["--version"]).stdout;
    let number = concat!("gateway ", env!("CARGO_PKG_VERSION"));
    let commit = version.strip_prefix(number).unwrap().trim_end();
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join(".git").exists() {
        assert_eq!(commit, "");
        return;
    }
    let commit = commit
        .strip_prefix(" (")
        .and_then(|commit| commit.strip_suffix(')'));
    let commit = commit.unwrap_or_else(|| panic!("{version}"));
    let hash = commit.strip_suffix("-dirty").unwrap_or(commit);
    assert!(hash.len() >= 12, "{version}");
    assert!(hash.bytes().all(|b| b.is_ascii_hexdigit()), "{version}");
}

/// The example in the help must be valid, because the error about an empty file refers to it.
#[test]
fn the_example_in_the_help_passes() {
    let help = gateway(&["--help"]).stdout;
    let example: String = help
        .lines()
        .skip_while(|line| !line.starts_with("  frontends:"))
        .take_while(|line| line.starts_with("  "))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_passes_with_schemas(&example);
}

#[test]
fn run_reports_the_same_errors_as_check() {
    for arguments in [&["-c"][..], &["run", "-c"]] {
        let config = "invalid/several_faults.yaml";
        let run = gateway(&[arguments, &[config]].concat());
        let check = gateway(&["check", "-c", config]);
        assert_eq!((run.code, &*run.stdout), (Some(1), ""));
        assert_eq!(run.stderr, check.stderr);
    }
}

#[test]
fn errors_are_logged_as_one_json_object_a_line() {
    let config = "invalid/several_faults.yaml";
    let run = gateway(&["--log-format", "json", "-c", config]);
    assert_eq!((run.code, &*run.stdout), (Some(1), ""));
    let text = gateway(&["check", "-c", config]).stderr;
    let lines: Vec<serde_json::Value> = run
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), text.matches("error: ").count());
    for line in lines {
        assert_eq!(line["level"], "ERROR", "{line}");
        let position = line["place"].as_str().unwrap();
        assert!(
            position.starts_with("invalid/several_faults.yaml:"),
            "{line}"
        );
        assert!(text.contains(line["text"].as_str().unwrap()), "{line}");
        assert!(text.contains(line["message"].as_str().unwrap()), "{line}");
    }
}

/// Runs the gateway with these arguments and `text` on standard input.
fn check_input(directory: &Path, arguments: &[&str], text: &str) -> Outcome {
    let mut child = Command::new(binary())
        .args(arguments)
        .current_dir(directory)
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_check_takes_a_file_a_directory_or_standard_input() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("{FRONTENDS}{POOLS}routes: {{ A: {{ pool: people }} }}\n");
    fs::create_dir(directory.path().join("conf")).unwrap();
    fs::write(directory.path().join("conf/routes.yaml"), &text).unwrap();
    let summary = "ok: 1 route, 1 pool, 1 frontend, 0 messages\n";
    for arguments in [
        &["check", "conf"][..],
        &["check", "conf/routes.yaml"],
        &["check", "-c", "conf"],
        &["-c", "conf/routes.yaml", "check"],
    ] {
        let outcome = gateway_in(directory.path(), arguments);
        assert_eq!(
            (outcome.code, &*outcome.stderr),
            (Some(0), ""),
            "{arguments:?}"
        );
        assert_eq!(outcome.stdout, format!("conf/routes.yaml: {summary}"));
    }
    for arguments in [&["check", "-"][..], &["check", "-c", "-"]] {
        let outcome = check_input(directory.path(), arguments, &text);
        assert_eq!(
            (outcome.code, &*outcome.stderr),
            (Some(0), ""),
            "{arguments:?}"
        );
        assert_eq!(outcome.stdout, format!("<stdin>: {summary}"));
    }
    let outcome = check_input(directory.path(), &["check", "-"], "frontends: 1\n");
    assert_eq!((outcome.code, &*outcome.stdout), (Some(1), ""));
    assert!(
        outcome.stderr.contains(" --> <stdin>:1:12\n"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_strict_check_fails_because_of_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("{FRONTENDS}{POOLS}routes: {{ 0x01: {{ pool: people }} }}\n");
    fs::write(directory.path().join("routes.yaml"), text).unwrap();
    let check = |arguments: &[&str]| gateway_in(directory.path(), arguments);
    assert_eq!(check(&["check"]).code, Some(0));
    let strict = check(&["check", "--strict"]);
    assert_eq!((strict.code, &*strict.stdout), (Some(1), ""));
    let end = "\n1 warning\nroutes.yaml: failed, because --strict does not allow warnings\n";
    assert!(strict.stderr.ends_with(end), "{}", strict.stderr);
    let listed = check(&["check", "--strict", "--format", "json"]);
    assert_eq!((listed.code, &*listed.stderr), (Some(1), ""));
}

/// Writes a configuration with one route to the directory `name` in `directory`. The message of the
/// route has the fields `fields`, and `breaking` is appended to the routes.yaml.
fn write_person(directory: &Path, name: &str, fields: &str, breaking: &str) {
    let directory = directory.join(name);
    fs::create_dir_all(directory.join("schemas")).unwrap();
    let proto = format!("syntax = \"proto3\";\npackage demo;\nmessage Person {{ {fields} }}\n");
    fs::write(directory.join("schemas/person.proto"), proto).unwrap();
    let routes = "routes: { A: { pool: people, schema: demo.Person } }\n";
    let text = format!("{FRONTENDS}{POOLS}{routes}{breaking}");
    fs::write(directory.join("routes.yaml"), text).unwrap();
}

#[test]
fn a_check_against_another_configuration_reports_breaking_changes() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name, fields, breaking| write_person(directory.path(), name, fields, breaking);
    write("old", "int32 age = 1;", "");
    write("same", "int32 age = 1; string name = 2;", "");
    write("broken", "string age = 1;", "");
    write("warned", "string age = 1;", "proto: { breaking: warn }\n");
    write("allowed", "string age = 1;", "proto: { breaking: allow }\n");
    let check = |arguments: &[&str]| {
        let arguments = [&["check", "--against", "old"], arguments].concat();
        gateway_in(directory.path(), &arguments)
    };
    for name in ["same", "allowed"] {
        let outcome = check(&[name]);
        assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""), "{name}");
    }
    let broken = check(&["broken"]);
    assert_eq!((broken.code, &*broken.stdout), (Some(1), ""));
    assert!(broken.stderr.starts_with("error: "), "{}", broken.stderr);
    for position in [
        "--> broken/schemas/person.proto:3:",
        "the old definition was at old/schemas/person.proto:3:",
    ] {
        assert!(broken.stderr.contains(position), "{}", broken.stderr);
    }
    let warned = check(&["warned"]);
    assert_eq!(warned.code, Some(0));
    assert!(warned.stderr.starts_with("warning: "), "{}", warned.stderr);
    assert_eq!(check(&["warned", "--strict"]).code, Some(1));
    // The configuration is valid on its own.
    assert_eq!(
        gateway_in(directory.path(), &["check", "broken"]).code,
        Some(0)
    );
    let listed = check(&["broken", "--format", "json"]);
    let faults: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(
        (listed.code, &faults[0]["severity"]),
        (Some(1), &"error".into())
    );
    let missing = gateway_in(directory.path(), &["check", "same", "--against", "nowhere"]);
    assert_eq!(missing.code, Some(1));
    assert!(
        missing.stderr.starts_with("error: can't read nowhere: "),
        "{}",
        missing.stderr
    );
}

#[test]
fn init_writes_a_configuration_that_passes_and_overwrites_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| gateway_in(directory.path(), arguments);
    let first = run(&["init", "conf"]);
    assert_eq!((first.code, &*first.stderr), (Some(0), ""));
    let output =
        "wrote conf/schemas/person.proto\nwrote conf/routes.yaml\nnext: gateway check conf\n";
    assert_eq!(first.stdout, output);
    let checked = run(&["check", "--strict", "conf"]);
    assert_eq!((checked.code, &*checked.stderr), (Some(0), ""));
    let again = run(&["init", "conf"]);
    assert_eq!((again.code, &*again.stdout), (Some(1), ""));
    assert_eq!(
        again.stderr,
        "error: conf/schemas/person.proto already exists\n"
    );
    // An existing file is not changed, and no other file is written.
    fs::write(directory.path().join("routes.yaml"), "mine").unwrap();
    let refused = run(&["init"]);
    assert_eq!(refused.stderr, "error: ./routes.yaml already exists\n");
    assert_eq!(
        fs::read(directory.path().join("routes.yaml")).unwrap(),
        b"mine"
    );
    assert!(!directory.path().join("schemas").exists());
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    for arguments in [
        &["config-schema"][..],
        &["schema"],
        &["check", "-c", "valid/shortest.yaml"],
        &["check", "--format", "json", "-c", "valid/shortest.yaml"],
    ] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = Command::new(binary())
            .args(arguments)
            .current_dir(CONFIGS)
            .stdout(full)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(
            stderr.starts_with("error: can't write to standard output: No space left"),
            "{stderr}"
        );
    }
}

#[test]
fn a_mistake_in_rust_log_is_reported() {
    let run = |value: &str| {
        let output = Command::new(binary())
            .args(["-c", "invalid/no_routes.yaml"])
            .current_dir(CONFIGS)
            .env("RUST_LOG", value)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, stderr) = run("nonsense");
    assert_eq!(code, Some(1));
    let expected = "error: RUST_LOG: \"nonsense\" is not a level: expected a level (off, error, warn, info, debug, trace) or \
                    TARGET=LEVEL, such as gateway=debug\n";
    assert_eq!(stderr, expected);
    let without_effect = |target: &str| {
        format!(
            "RUST_LOG: nothing in this program logs as {target:?}, so \"{target}=debug\" has no effect"
        )
    };
    let (code, stderr) = run("gatway=debug");
    let misspelt = without_effect("gatway");
    let error = format!("error: {misspelt}; did you mean \"gateway\"?\n");
    assert_eq!((code, stderr), (Some(1), error));
    // In spite of a directive for another program, the gateway loads the file.
    let (_, stderr) = run("sqlx=debug");
    assert!(stderr.contains(&without_effect("sqlx")), "{stderr}");
    assert!(stderr.contains("the file has no \"routes\""), "{stderr}");
    assert!(!run("gateway=debug,notify=off").1.contains("RUST_LOG"));
}

/// The name of a file can neither add a line to the output nor control a terminal.
#[test]
fn names_of_files_are_escaped() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("{FRONTENDS}{POOLS}routes: {{ A: {{ schema: a.B, pool: people }} }}\n");
    fs::write(directory.path().join("routes.yaml"), text).unwrap();
    let schemas = directory.path().join("schemas");
    fs::create_dir(&schemas).unwrap();
    fs::write(
        schemas.join("a\nerror: forged\x1b[31m.proto"),
        "mesage B {}",
    )
    .unwrap();
    let outcome = gateway_in(directory.path(), &["check"]);
    assert_eq!(outcome.code, Some(1));
    let position = r" --> schemas/a\nerror: forged\u{1b}[31m.proto:1:1";
    assert!(outcome.stderr.contains(position), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains('\x1b'), "{}", outcome.stderr);
    assert!(
        !outcome.stderr.contains("\nerror: forged"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_directory_with_protos_and_a_name_that_is_not_utf_8_is_an_error() {
    use std::os::unix::ffi::OsStrExt as _;
    let directory = tempfile::tempdir().unwrap();
    let text = format!("{FRONTENDS}{POOLS}routes: {{ A: {{ pool: people }} }}\n");
    fs::write(directory.path().join("routes.yaml"), text).unwrap();
    let name = std::ffi::OsStr::from_bytes(b"schemas/caf\xe9/deeper");
    let schemas = directory.path().join(name);
    fs::create_dir_all(&schemas).unwrap();
    fs::write(schemas.join("notes.txt"), "").unwrap();
    assert_eq!(gateway_in(directory.path(), &["check"]).code, Some(0));
    fs::write(schemas.join("a.proto"), "").unwrap();
    let outcome = gateway_in(directory.path(), &["check"]);
    assert_eq!(outcome.code, Some(1));
    let expected = "error: the name of schemas/caf\u{fffd} is not UTF-8\n = help: rename it, because no import can contain such a name\n";
    assert!(
        outcome
            .stderr
            .starts_with(&expected.replace("\n =", "\n  =")),
        "{}",
        outcome.stderr
    );
}

// ---- output for programs

/// Runs `gateway check --format json`, asserts the exit code, and returns the printed array.
fn listed(directory: impl AsRef<Path>, config: &str, code: i32) -> Vec<serde_json::Value> {
    let outcome = gateway_in(directory, &["check", "--format", "json", "-c", config]);
    assert_eq!(
        (outcome.code, &*outcome.stderr),
        (Some(code), ""),
        "{config}"
    );
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{}", outcome.stdout))
}

/// Asserts that an entry has exactly these keys, and that an entry with a file has a range in the
/// file.
fn assert_entry(entry: &serde_json::Value, keys: &[&str]) {
    let present: BTreeSet<_> = entry
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(present, keys.iter().copied().collect(), "{entry}");
    for key in ["line", "column", "end_line", "end_column"] {
        assert_eq!(entry[key].is_u64(), entry["file"].is_string(), "{entry}");
    }
    let number = |key| entry[key].as_u64();
    assert!(
        (number("end_line"), number("end_column")) > (number("line"), number("column"))
            || entry["file"].is_null(),
        "{entry}"
    );
}

const POSITION_KEYS: [&str; 5] = ["file", "line", "column", "end_line", "end_column"];

#[test]
fn json_diagnostics_agree_with_the_text() {
    let mut related = 0;
    for (config, path) in cases("invalid") {
        let rendered = fs::read_to_string(path.with_extension("stderr")).unwrap();
        let entries = listed(CONFIGS, &config, 1);
        let faults =
            rendered.matches("\nerror: ").count() + rendered.matches("\nwarning: ").count() + 1;
        assert_eq!(entries.len(), faults, "{config}");
        for entry in entries {
            let more = ["severity", "message", "label", "help", "related"];
            assert_entry(&entry, &[&POSITION_KEYS[..], &more].concat());
            let text = |key| entry[key].as_str().unwrap_or_default();
            let position = format!(
                "--> {}:{}:{}\n",
                text("file"),
                entry["line"],
                entry["column"]
            );
            assert!(rendered.contains(&position), "{config}: {entry}");
            let first_line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
            for part in [text("message"), text("label"), &first_line(text("help"))] {
                assert!(
                    rendered.contains(&part.replace(|c: char| c.is_control(), "\u{fffd}")),
                    "{config}: {entry}"
                );
            }
            for note in entry["related"].as_array().unwrap() {
                assert_entry(note, &[&POSITION_KEYS[..], &["message"]].concat());
                if note["line"].is_u64() {
                    related += 1;
                    let position = format!(
                        "{}:{}:{}",
                        note["file"].as_str().unwrap(),
                        note["line"],
                        note["column"]
                    );
                    let end = format!("{position}\n");
                    assert!(rendered.contains(&end), "{config}: {note}");
                }
            }
        }
    }
    assert!(related >= 8, "{related} related positions");
}

#[test]
fn a_json_diagnostic_has_these_keys() {
    let directory = tempfile::tempdir().unwrap();
    let text = "frontends: { c: { bind: \"tcp://*:1\" } }\npools: { ü: { bnd: x }, p: { bind: \"tcp://*:1\" } }\nroutes: { A: { pool: p } }\n";
    fs::write(directory.path().join("routes.yaml"), text).unwrap();
    let entries = listed(directory.path(), "routes.yaml", 1);
    let last = entries.last().unwrap();
    let expected = serde_json::json!({
        "file": "routes.yaml", "line": 2, "column": 36, "end_line": 2, "end_column": 48,
        "severity": "error",
        "message": "tcp://*:1 is taken",
        "label": "expected an unused address",
        "help": null,
        "related": [{
            "file": "routes.yaml", "line": 1, "column": 25, "end_line": 1, "end_column": 37,
            "message": "tcp://*:1 is bound at routes.yaml:1:25",
        }],
    });
    assert_eq!(*last, expected);
}

#[test]
fn json_output_is_always_an_array() {
    assert_eq!(
        listed(CONFIGS, "valid/shortest.yaml", 0),
        [] as [serde_json::Value; 0]
    );
    let missing = &listed(CONFIGS, "missing.yaml", 1)[0];
    assert!(
        missing["file"].is_null() && missing["line"].is_null(),
        "{missing}"
    );
    assert!(
        missing["message"]
            .as_str()
            .unwrap()
            .contains("missing.yaml")
    );
    let directory = tempfile::tempdir().unwrap();
    let unused = format!(
        "{FRONTENDS}pools: {{ a: {{ bind: \"tcp://*:1\" }}, b: {{ bind: \"tcp://*:2\" }} }}\nroutes: {{ A: {{ pool: a }} }}\n"
    );
    fs::write(directory.path().join("routes.yaml"), unused).unwrap();
    let warned = listed(directory.path(), "routes.yaml", 0);
    assert_eq!(
        (warned.len(), &warned[0]["severity"]),
        (1, &"warning".into())
    );
    let routes: String = (0..2_000).map(|n| format!("  {n}: {{}}\n")).collect();
    fs::write(
        directory.path().join("routes.yaml"),
        format!("{FRONTENDS}{POOLS}routes:\n{routes}"),
    )
    .unwrap();
    let faults = listed(directory.path(), "routes.yaml", 1);
    assert_eq!(faults.len(), 201);
    assert_eq!(faults[200]["message"], "and 1800 more errors");
    assert_eq!(gateway(&["check", "--format", "xml"]).code, Some(2));
}

// ---- configurations that people copy

/// Asserts that `gateway check` accepts a text as the routes.yaml for the repository's schemas.
fn assert_passes_with_schemas(text: &str) {
    let directory = tempfile::tempdir().unwrap();
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    std::os::unix::fs::symlink(schemas, directory.path().join("schemas")).unwrap();
    fs::write(directory.path().join("routes.yaml"), text).unwrap();
    let outcome = gateway_in(directory.path(), &["check"]);
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""), "{text}");
}

#[test]
fn the_configuration_of_the_repository_passes() {
    let outcome = gateway_in(env!("CARGO_MANIFEST_DIR"), &["check"]);
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
    assert!(
        outcome.stdout.starts_with("routes.yaml: "),
        "{}",
        outcome.stdout
    );
}

/// The configurations are the ```yaml blocks that have `frontends`.
#[test]
fn every_configuration_in_the_pages_passes() {
    let mut checked = 0;
    // The configurations in docs/migrate.md need other schemas, and are run by
    // tests/peers/migrate.py. The configurations in docs/security.md need keys, and are checked by
    // the module `security`.
    let excluded = ["docs/migrate.md", "docs/security.md"];
    let pages = pages()
        .into_iter()
        .filter(|(page, _)| !excluded.contains(&&**page));
    for (_, text) in pages {
        for block in configurations_in(&text) {
            assert_passes_with_schemas(&block);
            checked += 1;
        }
    }
    assert!(checked >= 2, "{checked}");
}
