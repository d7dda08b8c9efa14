//! Compiles arbitrary text and expects the compiler to terminate, to report every error with a
//! place, and to accept only files from which a schema table can be built.
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
            assert!(!reported.contains("the .proto compiler failed"), "{reported}");
            // Every diagnostic has a place.
            assert!(found.iter().all(|it| it.place.is_some()), "{reported}");
        }
    }
});
