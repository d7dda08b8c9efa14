//! Tests that file changes of every kind are noticed through file events, without polling.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gateway::reload::ReloadOutcome;

use crate::support::edited::{Edited, routes_yaml, routes_yaml_without_engine};
use crate::support::gateway::{Gateway, NEVER};
use crate::support::sockets::{TEST_TIMEOUT_MS, answer, receive, send, texts};

#[test]
fn every_way_of_writing_a_file_is_noticed() {
    let edited = Edited::start();
    edited.write("  A: { pool: people }");
    edited.await_generation(2);
    edited.await_route("A", true);
    // Some editors write a new file, and rename it over the old one, as `sed -i` does.
    let temporary = edited.file.with_extension("tmp");
    fs::write(&temporary, routes_yaml("  B: { pool: people }", "")).unwrap();
    fs::rename(&temporary, &edited.file).unwrap();
    edited.await_generation(3);
    // Editors that keep a backup move the old file away, and then create a new one.
    fs::rename(&edited.file, edited.file.with_extension("yaml~")).unwrap();
    edited.write("  C: { pool: people }");
    edited.await_generation(4);
    // The file is written twice, and is invalid after the first write.
    fs::write(&edited.file, "frontends:").unwrap();
    edited.write("  D: { pool: people }");
    edited.await_generation(5);
    edited.await_route("D", true);
    edited.await_route("A", false);
}

/// Runs a program in a directory.
fn run_in(directory: &Path, program: &str, arguments: &[&str]) {
    let outcome = std::process::Command::new(program)
        .args(arguments)
        .current_dir(directory)
        // The git settings of the user who runs the tests must not apply.
        .envs([
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
        ])
        .output();
    let outcome = outcome.unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&outcome.stderr);
    assert!(
        outcome.status.success(),
        "{program} {arguments:?}: {errors}"
    );
}

#[test]
fn a_checkout_of_another_branch_is_one_edit() {
    // One second exceeds any pause of git between two files, even on a slow machine.
    let slowly = |text: &str| text.replace("settle: 20ms", "settle: 1s");
    let edited = Edited::with_yaml(&slowly(&routes_yaml_without_engine("", "")), NEVER);
    let directory = edited.gateway.directory.path().to_owned();
    let git = |arguments: &[&str]| {
        let author = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
        run_in(&directory, "git", &[&author, arguments].concat());
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "one"]);
    git(&["checkout", "--quiet", "-b", "other"]);
    // On the other branch, the directory `protos` replaces `schemas`.
    let proto = "syntax = \"proto3\"; message Order { int32 n = 1; }";
    git(&["rm", "--quiet", "-r", "schemas"]);
    fs::create_dir_all(directory.join("protos/deep")).unwrap();
    fs::write(directory.join("protos/deep/order.proto"), proto).unwrap();
    let routes = "  ORDER: { schema: Order, pool: people }";
    fs::write(
        &edited.file,
        slowly(&routes_yaml(routes, "proto: { import_paths: [protos] }")),
    )
    .unwrap();
    edited.await_route("ORDER", false);
    edited.await_generation(2);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "two"]);
    for n in 0..3 {
        let before = edited.generation();
        git(&[
            "checkout",
            "--quiet",
            if n % 2 == 0 { "main" } else { "other" },
        ]);
        edited.await_generation(before + 1);
        send(&edited.client, &[&b"ORDER"[..], b"\xff"]);
        let known = texts(&receive(&edited.client))[1].contains("schema_violation");
        assert_eq!(known, n % 2 == 1);
    }
}

#[test]
fn edits_by_sed_and_vim_are_noticed() {
    let edited = Edited::start();
    let directory = edited.gateway.directory.path().to_owned();
    run_in(&directory, "sed", &["-i", "s/OPAQUE:/SED:/", "routes.yaml"]);
    edited.await_generation(2);
    edited.await_route("SED", true);
    // vim creates a probe file, moves the old file away, writes the new file, and deletes the old
    // file.
    fs::write(directory.join("4913"), "").unwrap();
    fs::remove_file(directory.join("4913")).unwrap();
    let backup = directory.join("routes.yaml~");
    fs::rename(&edited.file, &backup).unwrap();
    edited.write("  VIM: { pool: people }");
    fs::remove_file(&backup).unwrap();
    edited.await_route("VIM", true);
}

#[test]
fn a_burst_of_writes_is_one_reload() {
    let edited = Edited::start();
    let slowly = |routes: &str| routes_yaml(routes, "").replace("settle: 20ms", "settle: 2s");
    fs::write(&edited.file, slowly("")).unwrap();
    edited.await_generation(2);
    let schemas = edited.gateway.directory.path().join("schemas");
    for n in 0..100 {
        fs::write(&edited.file, slowly(&format!("  R{n}: {{ pool: people }}"))).unwrap();
        let proto = format!("syntax = \"proto3\"; message M{n} {{}}");
        fs::write(schemas.join(format!("m{}.proto", n % 7)), proto).unwrap();
    }
    edited.await_generation(3);
    edited.await_route("R99", true);
    // Two reloads would end in generation 4.
    assert_eq!(edited.generation(), 3);
}

/// In Kubernetes, `..data` is a link to a directory, and is replaced by renaming another link over
/// it.
#[test]
fn a_swap_of_a_config_map_is_noticed() {
    let edited = Edited::start();
    let directory = edited.gateway.directory.path();
    let version = |name: &str, routes: &str| {
        fs::create_dir(directory.join(name)).unwrap();
        fs::write(
            directory.join(name).join("routes.yaml"),
            routes_yaml(routes, ""),
        )
        .unwrap();
    };
    version("..1", "  A: { pool: people }");
    symlink("..1", directory.join("..data")).unwrap();
    fs::remove_file(&edited.file).unwrap();
    symlink("..data/routes.yaml", &edited.file).unwrap();
    edited.await_generation(2);
    for n in 2..5 {
        version(&format!("..{n}"), &format!("  R{n}: {{ pool: people }}"));
        symlink(format!("..{n}"), directory.join("..new")).unwrap();
        fs::rename(directory.join("..new"), directory.join("..data")).unwrap();
        fs::remove_dir_all(directory.join(format!("..{}", n - 1))).unwrap();
        edited.await_generation(n + 1);
    }
    edited.await_route("R4", true);
}

#[test]
fn proto_files_are_followed_when_their_directory_is_removed_and_recreated() {
    let edited = Edited::start();
    let schemas = edited.gateway.directory.path().join("schemas");
    let order = |field: &str| format!("syntax = \"proto3\"; message Order {{ {field} }}");
    edited.write("  ORDER: { schema: Order, pool: people }");
    fs::create_dir_all(schemas.join("deep/er")).unwrap();
    fs::write(schemas.join("deep/er/order.proto"), order("int32 n = 1;")).unwrap();
    edited.await_generation(2);
    let judge = |payload: &[u8]| {
        send(&edited.client, &[&b"ORDER"[..], payload]);
        let worker = edited.worker();
        let frames = loop {
            worker.set_rcvtimeo(0).unwrap();
            if worker.recv_multipart(0).is_ok() {
                return true;
            }
            if edited.client.poll(zmq::POLLIN, 1).unwrap() > 0 {
                break receive(&edited.client);
            }
        };
        let error = String::from_utf8_lossy(&frames[1]);
        assert!(
            error.contains("schema_violation"),
            "{:?}",
            frames[1].escape_ascii().to_string()
        );
        false
    };
    assert!(!judge(b"\x0a\x01x"), "n is not a string yet");
    fs::write(schemas.join("deep/er/order.proto"), order("string n = 1;")).unwrap();
    edited.await_generation(3);
    // A directory is removed and created again, as by git checkout.
    fs::remove_dir_all(&schemas).unwrap();
    fs::create_dir_all(&schemas).unwrap();
    fs::write(schemas.join("order.proto"), order("bytes other = 1;")).unwrap();
    edited.await_generation(4);
    fs::rename(schemas.join("order.proto"), schemas.join("renamed.proto")).unwrap();
    edited.await_generation(5);
    assert!(judge(b"\x0a\x01x"));
    // Creating and removing an unused file are changes, too.
    fs::write(schemas.join("deep.proto"), "syntax = \"proto3\";").unwrap();
    edited.await_generation(6);
    fs::remove_file(schemas.join("deep.proto")).unwrap();
    edited.await_generation(7);
    // A used file is removed: the running configuration stays in force.
    fs::remove_file(schemas.join("renamed.proto")).unwrap();
    let deadline = Instant::now() + Duration::from_millis(TEST_TIMEOUT_MS as u64);
    while edited.reloads(ReloadOutcome::Invalid) == 0 {
        assert!(Instant::now() < deadline, "the removal is not noticed");
        assert_eq!(edited.generation(), 7);
    }
    assert!(judge(b"\x0a\x01x"));
}

#[test]
fn an_import_path_that_the_edit_adds_is_followed() {
    let edited = Edited::start();
    let more = edited.gateway.directory.path().join("more");
    fs::create_dir(&more).unwrap();
    let proto = |field: &str| format!("syntax = \"proto3\"; message M {{ {field} }}");
    fs::write(more.join("m.proto"), proto("int32 a = 1;")).unwrap();
    let with_root = routes_yaml(
        "  M: { schema: M, pool: people }",
        "proto: { import_paths: [more] }\n",
    );
    fs::write(&edited.file, with_root).unwrap();
    edited.await_generation(2);
    fs::write(more.join("m.proto"), proto("int32 b = 1;")).unwrap();
    edited.await_generation(3);
}

#[test]
fn a_broken_edit_changes_nothing_and_its_correction_takes_effect() {
    let edited = Edited::start();
    for broken in ["routes: [", "", "frontends: {}\n", "\u{0}\u{1}"] {
        fs::write(&edited.file, broken).unwrap();
        let schemas = edited.gateway.directory.path().join("schemas");
        fs::write(schemas.join("broken.proto"), "message {").unwrap();
        edited.await_route("OPAQUE", true);
        assert_eq!(edited.generation(), 1);
        fs::remove_file(schemas.join("broken.proto")).unwrap();
    }
    edited.write("  MENDED: { pool: people }");
    edited.await_route("MENDED", true);
    // If any of the broken edits had taken effect, the generation would be greater.
    assert_eq!(edited.generation(), 2);
}

/// A misspelt field is an error when the files are read, because the rule could be evaluated for no
/// payload.
#[test]
fn a_misspelt_field_in_a_rule_is_an_error_and_the_previous_rule_stays_in_force() {
    let edited = Edited::start();
    let proto = |soft: &str| {
        format!(
            "syntax = \"proto3\"; import \"buf/validate/validate.proto\";\n\
             message Limits {{ int32 soft = 1; int32 hard = 2;\n\
             option (buf.validate.message).cel = {{ id: \"soft\", message: \"too soft\",\n\
             expression: \"this.{soft} <= this.hard\" }}; }}\n"
        )
    };
    let file = edited.gateway.directory.path().join("schemas/limits.proto");
    fs::write(&file, proto("soft")).unwrap();
    edited.write("  LIMITS: { schema: { json: Limits }, pool: people }");
    edited.await_generation(2);
    fs::write(&file, proto("sotf")).unwrap();
    let report = edited.reload();
    assert_eq!(report.outcome, ReloadOutcome::Invalid);
    let reported = report.diagnostics.to_string();
    for part in [
        "error: bad rules of Limits: Limits has no field `sotf`",
        "limits.proto:4:19",
        "did you mean `soft`?",
    ] {
        assert!(reported.contains(part), "{part}: {reported}");
    }
    assert_eq!(edited.generation(), 2);
    send(&edited.client, &["LIMITS", r#"{"soft": 2, "hard": 1}"#]);
    let rejected = texts(&receive(&edited.client))[1].clone();
    assert!(
        rejected.contains("schema_violation") && rejected.contains("too soft"),
        "{rejected}"
    );
    send(&edited.client, &["LIMITS", r#"{"soft": 1, "hard": 2}"#]);
    let request = answer(edited.worker(), b"y");
    assert_eq!(request[1], b"LIMITS");
    assert_eq!(texts(&receive(&edited.client)), ["REPLY", "y"]);
}

/// The directory of the files is removed and created again. Then another directory replaces it, and
/// then a link. Other links replace this link, and at last the files in its target change.
#[test]
fn the_directory_of_the_files_may_be_removed_and_recreated() {
    let outer = tempfile::tempdir().unwrap();
    let inner = tempfile::tempdir_in(outer.path()).unwrap();
    let directory = inner.path().to_owned();
    let gateway = Gateway::start_in(inner, &routes_yaml_without_engine("", ""));
    let edited = Edited::of_gateway(gateway, NEVER);
    let fill = |directory: &Path, route: &str| {
        fs::create_dir_all(directory.join("schemas")).unwrap();
        let text = routes_yaml(&format!("  {route}: {{ pool: people }}"), "");
        fs::write(directory.join("routes.yaml"), text).unwrap();
    };
    fs::remove_dir_all(&directory).unwrap();
    let deadline = Instant::now() + Duration::from_millis(TEST_TIMEOUT_MS as u64);
    while edited.reloads(ReloadOutcome::Invalid) == 0 {
        // A partly removed directory may be a valid configuration, so the generation is not
        // checked.
        assert!(Instant::now() < deadline, "the removal is not noticed");
        std::thread::yield_now();
    }
    fill(&directory, "AGAIN");
    edited.await_route("AGAIN", true);
    // Another directory replaces this directory.
    let sibling = |name: &str| outer.path().join(name);
    fill(&sibling("other"), "OTHER");
    fs::rename(&directory, sibling("away")).unwrap();
    fs::rename(sibling("other"), &directory).unwrap();
    edited.await_route("OTHER", true);
    // A link replaces the directory, and other links replace that link.
    for version in ["V1", "V2", "V3"] {
        fill(&sibling(version), version);
        symlink(version, sibling("link")).unwrap();
        if version == "V1" {
            fs::rename(&directory, sibling("was")).unwrap();
        }
        fs::rename(sibling("link"), &directory).unwrap();
        edited.await_route(version, true);
    }
    // The target of the link is written to.
    fill(&sibling("V3"), "LAST");
    edited.await_route("LAST", true);
}

#[test]
fn schemas_are_found_by_a_relative_path() {
    // The relative path `routes.yaml` has an empty parent path.
    let inputs = gateway::config::Inputs::read(Path::new("routes.yaml"), &[]);
    assert_eq!(inputs.seen().roots, [PathBuf::from("schemas")]);
}

#[test]
fn the_error_for_a_removed_file_says_to_put_it_back() {
    let edited = Edited::start();
    let text = fs::read(&edited.file).unwrap();
    fs::remove_file(&edited.file).unwrap();
    let report = edited.reload();
    assert_eq!(report.outcome, ReloadOutcome::Invalid);
    let reported = report.diagnostics.to_string();
    let remedy = "put the file back: it existed when the gateway started";
    assert!(reported.contains(remedy), "{reported}");
    assert_eq!(edited.generation(), 1);
    fs::write(&edited.file, text).unwrap();
    assert_eq!(edited.reload().outcome, ReloadOutcome::Unchanged);
}
