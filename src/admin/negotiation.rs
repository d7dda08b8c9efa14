//! The format of /metrics that a client requests: OpenMetrics, or the classic text format for
//! clients that do not support OpenMetrics.

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    OpenMetrics,
    /// The text format of Prometheus, version 0.0.4.
    Classic,
}

impl Format {
    /// Returns the format that an `Accept` header prefers. A client gets OpenMetrics unless the
    /// header gives the classic format a higher quality.
    pub(super) fn of(accept: &str) -> Self {
        let mut open = 0.0_f32;
        let mut classic = 0.0_f32;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let quality: f32 = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(Some(1.0), |q| q.parse().ok())
                .unwrap_or(0.0);
            match kind.to_ascii_lowercase().as_str() {
                "application/openmetrics-text" => open = quality.max(open),
                "text/plain" | "text/*" => classic = quality.max(classic),
                _ => {}
            }
        }
        if classic > open {
            Self::Classic
        } else {
            Self::OpenMetrics
        }
    }

    /// Returns the media type.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Converts a page of OpenMetrics to this format.
    pub(super) fn write(self, openmetrics: String) -> String {
        match self {
            Self::OpenMetrics => openmetrics,
            Self::Classic => classic(&openmetrics),
        }
    }
}

/// Converts a page of OpenMetrics to the classic text format. The formats differ only in the
/// comment lines. In the classic format, a counter's family has the name of its samples, there is
/// no type `info`, and no line marks the end.
fn classic(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len() + openmetrics.len() / 8);
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            if let Some((_, help)) = help.take().filter(|(family, _)| *family == name) {
                text += &format!("# HELP {name}{suffix} {help}\n");
            }
            text += &format!("# TYPE {name}{suffix} {kind}\n");
        } else if !line.starts_with('#') {
            text += line;
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_format_is_chosen() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        for accept in [
            "",
            "*/*",
            prometheus,
            "text/html",
            "text/plain;q=0",
            "text/plain;q=0.5, application/openmetrics-text; q=0.5",
        ] {
            assert_eq!(Format::of(accept), Format::OpenMetrics, "{accept}");
        }
        for accept in [
            "text/plain",
            "text/plain; version=0.0.4",
            "Text/Plain, */*;q=0.5",
            "application/openmetrics-text;q=0.2, text/plain",
        ] {
            assert_eq!(Format::of(accept), Format::Classic, "{accept}");
        }
    }

    #[test]
    fn the_classic_format_names_counters_by_their_samples() {
        let openmetrics = "# HELP a_b What runs.\n# TYPE a_b info\na_b_info{c=\"d\"} 1\n\
            # HELP e Count.\n# TYPE e counter\ne_total 1\n# TYPE f gauge\nf 2\n# EOF\n";
        let classic = "# HELP a_b_info What runs.\n# TYPE a_b_info gauge\na_b_info{c=\"d\"} 1\n\
            # HELP e_total Count.\n# TYPE e_total counter\ne_total 1\n# TYPE f gauge\nf 2\n";
        assert_eq!(Format::Classic.write(openmetrics.to_owned()), classic);
    }
}
