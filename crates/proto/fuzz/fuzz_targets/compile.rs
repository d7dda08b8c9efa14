//! Compiles arbitrary text. Checks that the compiler terminates, that it reports every error with a
//! place, and that a schema table can be built from every file that it accepts.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, compile};
use gateway_schema::Table;

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = std::env::temp_dir().join(format!("gateway-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
});

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    std::fs::write(DIRECTORY.join("t.proto"), text).unwrap();
    let mut found = Diagnostics::new();
    match compile(&[DIRECTORY.clone()], Compiler::Builtin, &mut found) {
        Some(descriptors) => {
            assert!(!found.has_errors());
            let table = Table::build(descriptors.files());
            assert!(table.is_ok(), "{table:?}");
        }
        None => {
            assert!(found.has_errors());
            let reported = found.render(false);
            assert!(
                !reported.contains("the .proto compiler failed"),
                "{reported}"
            );
            // Every diagnostic has a place.
            assert!(
                found.iter().all(|diagnostic| diagnostic.place.is_some()),
                "{reported}"
            );
        }
    }
});
