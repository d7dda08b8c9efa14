//! Diagnostics for people, on standard error.

use std::io::{self, IsTerminal};

use gateway_diagnostic::Diagnostics;

/// Returns whether diagnostics on standard error are coloured.
pub(super) fn colour() -> bool {
    // https://no-color.org
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Returns diagnostics in the form that people read, followed by the numbers of errors and
/// warnings.
pub(super) fn rendered(found: &Diagnostics) -> String {
    let count = |n: usize, what: &str| match n {
        0 => None,
        1 => Some(format!("1 {what}")),
        n => Some(format!("{n} {what}s")),
    };
    let counts = [
        count(found.errors(), "error"),
        count(found.warnings(), "warning"),
    ];
    let counts: Vec<_> = counts.into_iter().flatten().collect();
    format!("{}\n{}\n", found.render(colour()), counts.join(", "))
}
