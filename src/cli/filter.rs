//! `RUST_LOG` and `--log-level` → the filter of the log. A mistake in the variable would silence every line, so that it is
//! told.

use std::env;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Directive, LevelFilter};

use super::arguments::LogLevel;
use gateway_diagnostic::did_you_mean;

/// The variable.
const VARIABLE: &str = "RUST_LOG";

/// What is logged unless the variable says otherwise.
const DEFAULTS: [&str; 2] = ["info", "notify=off"];

/// The levels, as the variable names them.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The targets of the lines in this process: those of the gateway, and of the libraries that log.
const TARGETS: [&str; 6] = ["gateway", "notify", "hyper", "mio", "tokio", "cel"];

/// A filter, and what is probably not meant about it.
#[derive(Debug)]
pub(super) struct LogFilter {
    pub filter: EnvFilter,
    /// Sentences, one for each doubtful directive.
    pub doubts: Vec<String>,
}

/// Returns the filter that the environment asks for, and `level` where the environment names no level. The error is a
/// sentence about the variable.
pub(super) fn from_environment(level: Option<LogLevel>) -> Result<LogFilter, String> {
    let mut filter = match env::var(VARIABLE) {
        Ok(text) => filter_of(&text),
        Err(env::VarError::NotPresent) => filter_of(""),
        Err(env::VarError::NotUnicode(_)) => Err(format!("{VARIABLE} is not UTF-8 text")),
    }?;
    if let Some(level) = level {
        filter.filter = at_level(filter.filter, level);
    }
    Ok(filter)
}

/// Returns a filter that logs the lines of `level` and of those above it, whatever `filter` says of lines in general and
/// of those of the gateway. What it says of single modules stands.
fn at_level(filter: EnvFilter, level: LogLevel) -> EnvFilter {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let gateway: Directive = format!("gateway={level}")
        .parse()
        .expect("a level and a target of letters are a directive");
    filter.add_directive(level.into()).add_directive(gateway)
}

/// Returns the filter of directives such as `gateway=debug`, on top of the defaults.
fn filter_of(text: &str) -> Result<LogFilter, String> {
    let mut filter = EnvFilter::new(DEFAULTS.join(","));
    let mut doubts = Vec::new();
    if text.contains(['[', '{']) {
        // Of fields and spans, whose commas separate no directives.
        let text = format!("{},{text}", DEFAULTS.join(","));
        let filter = EnvFilter::try_new(text).map_err(|error| format!("{VARIABLE}: {error}"))?;
        return Ok(LogFilter { filter, doubts });
    }
    for written in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        doubts.extend(doubt(written)?);
        let directive: Directive = written
            .parse()
            .map_err(|_| format!("{VARIABLE}: {written:?} is no directive: {EXPECTED}"))?;
        filter = filter.add_directive(directive);
    }
    Ok(LogFilter { filter, doubts })
}

/// What a directive looks like.
const EXPECTED: &str = "expected a level (off, error, warn, info, debug, trace) or TARGET=LEVEL, such as gateway=debug";

/// Returns a warning about a directive for lines that nothing here writes. The error is that it makes no sense.
fn doubt(written: &str) -> Result<Option<String>, String> {
    let is_level = |word: &str| {
        let is_number = word.parse::<u8>().is_ok_and(|level| level <= 5);
        is_number || LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
    };
    let (target, level) = match written.split_once('=') {
        Some((target, level)) => (target, Some(level)),
        None if is_level(written) => return Ok(None),
        None => (written, None),
    };
    if let Some(level) = level.filter(|level| !is_level(level)) {
        let near = did_you_mean(level, LEVELS).map(|near| format!("; did you mean {near:?}?"));
        let near = near.unwrap_or_default();
        return Err(format!(
            "{VARIABLE}: {level:?} in {written:?} is no level{near}"
        ));
    }
    let root = target.split("::").next().unwrap_or_default();
    if TARGETS.contains(&root) {
        return Ok(None);
    }
    let known = TARGETS
        .iter()
        .chain(LEVELS.iter().filter(|_| level.is_none()));
    let near = did_you_mean(root, known.copied()).map(|near| format!("; did you mean {near:?}?"));
    let near = near.unwrap_or_default();
    match level {
        None => Err(format!(
            "{VARIABLE}: {written:?} is no level{near}: {EXPECTED}"
        )),
        Some(_) => Ok(Some(format!(
            "{VARIABLE}: nothing here logs as {target:?}, so {written:?} does nothing{near}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_of_this_process_are_taken() {
        for text in [
            "",
            "debug",
            "gateway=debug",
            "gateway::core=trace,notify=info",
            "OFF",
            "3",
        ] {
            let filter = filter_of(text).unwrap();
            assert_eq!(filter.doubts, [""; 0], "{text}");
        }
        assert_eq!(filter_of("").unwrap().filter.to_string(), "notify=off,info");
        assert_eq!(
            filter_of("gateway=debug").unwrap().filter.to_string(),
            "gateway=debug,notify=off,info"
        );
        assert!(filter_of("gateway[{route=A}]=debug").is_ok());
    }

    #[test]
    fn a_level_of_the_command_line_wins_over_the_variable() {
        let filter = |text, level| {
            let filter = filter_of(text).unwrap().filter;
            at_level(filter, level).to_string()
        };
        assert_eq!(
            filter("", LogLevel::Debug),
            "gateway=debug,notify=off,debug"
        );
        assert_eq!(
            filter("gateway=warn,gateway::core=trace,error", LogLevel::Off),
            "gateway::core=trace,gateway=off,notify=off,off"
        );
    }

    #[test]
    fn what_silences_the_log_by_mistake_is_told() {
        let doubts = filter_of("gatway=debug").unwrap().doubts;
        assert!(
            doubts[0].ends_with("did you mean \"gateway\"?"),
            "{doubts:?}"
        );
        for (wrong, said) in [
            ("nonsense", "\"nonsense\" is no level"),
            ("debg", "did you mean \"debug\"?"),
            ("gateway=loud", "\"loud\" in \"gateway=loud\" is no level"),
            ("gateway=", "is no level"),
        ] {
            let error = filter_of(wrong).unwrap_err();
            assert!(
                error.starts_with("RUST_LOG: ") && error.contains(said),
                "{error}"
            );
        }
    }
}
