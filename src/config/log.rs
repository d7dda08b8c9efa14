//! The section `log`: the level of the log, and the format of its lines.

use super::section::{ExpectedMap, Section};
use super::yaml::Node;
use crate::snapshot::{LogFormat, LogLevel, LogSettings};
use gateway_diagnostic::Diagnostics;

/// Reads the section. Absent keys have their defaults.
pub(super) fn log(node: Option<&Node>, found: &mut Diagnostics) -> LogSettings {
    let mut log = LogSettings::default();
    let Some(node) = node else { return log };
    let levels = LogLevel::ALL.map(|level| (level.name(), level));
    let expected = ExpectedMap {
        key: "level",
        is: &|node| levels.iter().any(|(name, _)| *name == node.text()),
        meant: None,
        least: "level: info",
    };
    let mut section = Section::open_or(node, "log", &[], expected, found);
    if let Some(level) = section.word("level", &levels, found) {
        log.level = level.value;
    }
    let formats = [LogFormat::Human, LogFormat::Json].map(|format| (format.name(), format));
    if let Some(format) = section.word("format", &formats, found) {
        log.format = format.value;
    }
    section.close(found);
    log
}
