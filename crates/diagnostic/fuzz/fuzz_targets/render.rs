//! Renders diagnostics at arbitrary places of arbitrary text, both as text and as JSON, and expects
//! no panic. The first eight bytes of the input select a byte range, and a line and column that
//! need not exist. The rest of the input is the text.
#![no_main]

use gateway_diagnostic::{Diagnostic, Diagnostics, SourceFile};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((numbers, text)) = input.split_first_chunk::<8>() else {
        return;
    };
    let [start, end, line, column] =
        [0, 2, 4, 6].map(|at| u16::from_le_bytes([numbers[at], numbers[at + 1]]));
    let file = SourceFile::new("a.txt", String::from_utf8_lossy(text));
    let inside = file.place_of_bytes(usize::from(start)..usize::from(end));
    // A place computed from a byte range lies inside the text.
    assert!(file.line(inside.line).is_some() || file.text.is_empty() || file.text.ends_with('\n'));
    let anywhere = file.place(line.into(), column.into(), end.into());
    let mut found = Diagnostics::new();
    found.push(
        Diagnostic::error("wrong")
            .at(inside)
            .label("expected something else")
            .note_at("the first is at", anywhere.clone())
            .help("change it"),
    );
    found.push(Diagnostic::warning("odd").at(anywhere));
    found.sort();
    for colour in [false, true] {
        assert!(found.render(colour).contains("wrong"));
    }
    let json = found.to_json();
    assert!(json.contains("wrong"));
});
