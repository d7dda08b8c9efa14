//! The filter of the log, from `--log-level`, `RUST_LOG` and `log.level` in routes.yaml, in this
//! order of precedence. A mistake in RUST_LOG would silently have no effect, or an effect that was
//! not intended, so mistakes are reported.

use std::env;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Directive, LevelFilter};

use crate::snapshot::LogLevel;
use gateway_diagnostic::did_you_mean;

/// The environment variable that sets the filter.
const VARIABLE: &str = "RUST_LOG";

/// The directive that applies unless the variable overrides it. It silences the library that
/// watches files.
const DEFAULT: &str = "notify=off";

/// Returns the names of levels that the environment variable may contain.
fn levels() -> [&'static str; 6] {
    LogLevel::ALL.map(LogLevel::name)
}

/// The target of the gateway's own lines.
const OWN_TARGET: &str = "gateway";

/// The targets of log lines in this process: the gateway's own target, and the libraries that log.
const TARGETS: [&str; 6] = [OWN_TARGET, "notify", "hyper", "mio", "tokio", "cel"];

/// A filter, and the directives in it that are probably mistakes.
#[derive(Debug)]
pub(super) struct LogFilter {
    pub filter: EnvFilter,
    /// One sentence for each doubtful directive.
    pub doubts: Vec<String>,
}

/// The settings that the environment and the command line give at startup.
#[derive(Debug)]
pub(super) struct StartSettings {
    /// The value of the environment variable, or empty if it is not set.
    pub variable: String,
    /// The level given on the command line, if any.
    pub level: Option<LogLevel>,
}

impl StartSettings {
    /// Reads the environment variable. Fails with a message if it is not UTF-8 text.
    pub(super) fn new(level: Option<LogLevel>) -> Result<Self, String> {
        let variable = match env::var(VARIABLE) {
            Ok(text) => text,
            Err(env::VarError::NotPresent) => String::new(),
            Err(env::VarError::NotUnicode(_)) => {
                return Err(format!("{VARIABLE} is not UTF-8 text"));
            }
        };
        Ok(Self { variable, level })
    }

    /// Returns the filter for a configuration in which `log.level` is `level`. Fails with a message
    /// if the environment variable is invalid.
    pub(super) fn filter(&self, level: LogLevel) -> Result<LogFilter, String> {
        let mut filter = filter_of(&self.variable, level)?;
        if let Some(level) = self.level {
            filter.filter = at_level(filter.filter, level);
        }
        Ok(filter)
    }
}

/// Returns `filter` with `level` as the general level and as the level of the gateway. The
/// directives of `filter` about single modules stay in force.
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

/// Returns a filter that applies `level` and [`DEFAULT`], unless a directive in `text`, such as
/// `gateway=debug`, overrides them. Fails with a message if a directive is invalid.
fn filter_of(text: &str, level: LogLevel) -> Result<LogFilter, String> {
    let base = format!("{},{DEFAULT}", level.name());
    let mut filter = EnvFilter::new(&base);
    let mut doubts = Vec::new();
    if text.contains(['[', '{']) {
        // Directives about fields and spans may contain commas that do not separate directives.
        let text = format!("{base},{text}");
        let filter = EnvFilter::try_new(text).map_err(|error| format!("{VARIABLE}: {error}"))?;
        return Ok(LogFilter { filter, doubts });
    }
    for written in text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        doubts.extend(doubt(written)?);
        let directive: Directive = written
            .parse()
            .map_err(|_| format!("{VARIABLE}: {written:?} is not a directive: {EXPECTED}"))?;
        filter = filter.add_directive(directive);
    }
    Ok(LogFilter { filter, doubts })
}

/// The expected form of a directive.
const EXPECTED: &str = "expected a level (off, error, warn, info, debug, trace) or TARGET=LEVEL, such as gateway=debug";

/// Returns a warning if a directive matches no lines of this process, for example because it is
/// meant for another program that shares the variable. Fails with a message if the directive is
/// invalid, or if its target is probably a misspelt [`OWN_TARGET`].
fn doubt(written: &str) -> Result<Option<String>, String> {
    let is_level = |word: &str| {
        let is_number = word.parse::<u8>().is_ok_and(|level| level <= 5);
        is_number
            || levels()
                .iter()
                .any(|level| level.eq_ignore_ascii_case(word))
    };
    let (target, level) = match written.split_once('=') {
        Some((target, level)) => (target, Some(level)),
        None if is_level(written) => return Ok(None),
        None => (written, None),
    };
    if let Some(level) = level.filter(|level| !is_level(level)) {
        let near = did_you_mean(level, levels()).map(|near| format!("; did you mean {near:?}?"));
        let near = near.unwrap_or_default();
        return Err(format!(
            "{VARIABLE}: {level:?} in {written:?} is not a level{near}"
        ));
    }
    let root = target.split("::").next().unwrap_or_default();
    if TARGETS.contains(&root) {
        return Ok(None);
    }
    let levels = level.is_none().then(levels).into_iter().flatten();
    let known = TARGETS.into_iter().chain(levels);
    let near = did_you_mean(root, known);
    let suggestion = near.map(|near| format!("; did you mean {near:?}?"));
    let suggestion = suggestion.unwrap_or_default();
    if level.is_none() {
        return Err(format!(
            "{VARIABLE}: {written:?} is not a level{suggestion}: {EXPECTED}"
        ));
    }
    let doubt = format!(
        "{VARIABLE}: nothing in this program logs as {target:?}, so {written:?} has no effect{suggestion}"
    );
    match near {
        Some(OWN_TARGET) => Err(doubt),
        _ => Ok(Some(doubt)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_of_this_process_are_accepted() {
        for text in [
            "",
            "debug",
            "gateway=debug",
            "gateway::core=trace,notify=info",
            "OFF",
            "3",
        ] {
            let filter = filter_of(text, LogLevel::Info).unwrap();
            assert_eq!(filter.doubts, [""; 0], "{text}");
        }
        assert_eq!(
            filter_of("", LogLevel::Info).unwrap().filter.to_string(),
            "notify=off,info"
        );
        assert_eq!(
            filter_of("gateway=debug", LogLevel::Info)
                .unwrap()
                .filter
                .to_string(),
            "gateway=debug,notify=off,info"
        );
        assert!(filter_of("gateway[{route=A}]=debug", LogLevel::Info).is_ok());
    }

    #[test]
    fn a_level_of_the_command_line_overrides_the_variable() {
        let filter = |text, level| {
            let filter = filter_of(text, LogLevel::Info).unwrap().filter;
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
    fn the_command_line_overrides_the_variable_which_overrides_the_configuration() {
        let filter = |variable: &str, level, configured| {
            let variable = variable.to_owned();
            let start_settings = StartSettings { variable, level };
            start_settings
                .filter(configured)
                .unwrap()
                .filter
                .to_string()
        };
        let (debug, warn) = (LogLevel::Debug, LogLevel::Warn);
        assert_eq!(filter("", None, debug), "notify=off,debug");
        assert_eq!(filter("error", None, debug), "notify=off,error");
        // A directive for one target leaves all other targets at the level of the configuration.
        let one = filter("gateway::core=trace", None, warn);
        assert_eq!(one, "gateway::core=trace,notify=off,warn");
        let argument = filter("error", Some(warn), debug);
        assert_eq!(argument, "gateway=warn,notify=off,warn");
    }

    #[test]
    fn a_directive_without_effect_or_with_a_mistake_is_reported() {
        let doubts = filter_of("sqlx=debug", LogLevel::Info).unwrap().doubts;
        assert!(
            doubts[0].ends_with("\"sqlx=debug\" has no effect"),
            "{doubts:?}"
        );
        for (wrong, expected) in [
            ("nonsense", "\"nonsense\" is not a level"),
            ("debg", "did you mean \"debug\"?"),
            (
                "gateway=loud",
                "\"loud\" in \"gateway=loud\" is not a level",
            ),
            ("gateway=", "is not a level"),
            ("gatway=debug", "did you mean \"gateway\"?"),
            ("Gateway::core=info", "did you mean \"gateway\"?"),
        ] {
            let error = filter_of(wrong, LogLevel::Info).unwrap_err();
            assert!(
                error.starts_with("RUST_LOG: ") && error.contains(expected),
                "{error}"
            );
        }
    }
}
