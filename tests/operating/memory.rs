//! Tests of the memory that a gateway keeps after it has loaded many .proto files.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::support::gateway::on_this_engine;
use crate::support::process::Process;

const YAML: &str = r#"frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes: { A: { schema: demo.Person, pool: people } }
reload: { watch: false }
admin: { bind: "127.0.0.1:0" }
"#;

/// The number of .proto files.
const FILES: usize = 500;

fn write_files(directory: &Path) {
    for n in 0..FILES {
        let mut text = String::from("syntax = \"proto3\";\npackage large;\n");
        for message in 0..6 {
            writeln!(text, "// Resource {message}.\nmessage M{n}x{message} {{").unwrap();
            for field in 1..9 {
                writeln!(
                    text,
                    "  // The name of a part.\n  string part_{field} = {field};"
                )
                .unwrap();
            }
            text.push_str("}\n");
        }
        fs::write(directory.join(format!("f{n}.proto")), text).unwrap();
    }
}

/// By default, the allocator of glibc would keep almost all of this memory.
#[cfg(target_env = "gnu")]
#[test]
fn memory_that_only_a_reload_needs_is_returned_to_the_system() {
    let gateway = Process::start(&on_this_engine(YAML));
    write_files(&gateway.directory.path().join("schemas"));
    let before_kib = gateway.forget_peak();
    assert_eq!(gateway.reload().code, 200);
    let needed_kib = gateway.peak() - before_kib;
    assert!(needed_kib > 10 << 10, "{needed_kib} KiB for the reload");
    let bound_kib = before_kib + needed_kib / 3 * 2;
    // The memory is returned once the replaced configuration is free.
    gateway.await_metrics("the return of the memory", |metrics| {
        metrics.sum("process_resident_memory_bytes", &[]) < (bound_kib << 10) as f64
    });
}
