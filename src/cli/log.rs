//! The log. A dedicated thread writes the log to standard error, so that no other thread has to
//! wait for the program that reads the log.
//!
//! A pipe that is not read takes 64 KiB and then blocks its writer, which must not be the data
//! thread. Lines are therefore queued here, up to a bound. Further lines are dropped and counted,
//! and once the log is read again, a line reports their number.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use tracing::{Event, Metadata, Subscriber, info, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use super::filter::StartSettings;
use super::render::{colour, rendered};
use crate::embed::log_diagnostics;
use crate::snapshot::{LogFormat, LogSettings};
use gateway_diagnostic::Diagnostics;

/// The size of the queue, in bytes, at which further lines are dropped. The queue then holds
/// thousands of lines, so that no line is lost if the reader pauses briefly. Below this size, a
/// line of any length is accepted.
const WAITING_MAX: usize = 1 << 20;

/// The maximum time to wait at the end of the process for the last lines to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause between two attempts to write if standard error is non-blocking. Another process that
/// shares standard error may have made it non-blocking.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// The target of the line that reports dropped lines. That line must not be dropped itself.
const DROPPED_TARGET: &str = "gateway::log::dropped";

/// The log of the process. There is only one, since there is only one standard error.
static LINES: LineQueue = LineQueue {
    is_json: AtomicBool::new(false),
    waiting: Mutex::new(QueuedLines::new()),
    queued: Condvar::new(),
    written: Condvar::new(),
};

/// Starts logging on a thread of its own, and returns a function that sets the filter. Fails only
/// if the thread cannot be started.
pub(super) fn start(
    format: LogFormat,
    filter: EnvFilter,
) -> io::Result<impl Fn(EnvFilter) + Send + Sync + 'static> {
    LINES.set_format(format);
    let human = Format::default().with_target(false).with_ansi(colour());
    let json = Format::default()
        .with_target(false)
        .json()
        .flatten_event(true);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(&LINES)
        // By default, internal errors are printed with `eprintln!`, which panics once standard
        // error is closed. A gateway must keep running without a reader of its log.
        .log_internal_errors(false)
        .event_format(EventFormat { human, json })
        .with_filter_reloading();
    let handle = log.reload_handle();
    let thread = std::thread::Builder::new().name("log".into());
    thread.spawn(|| {
        // A panic while writing must not end the log. The lines that were being written are lost.
        while catch_unwind(|| LINES.write_all_to(&mut io::stderr())).is_err() {}
    })?;
    log.init();
    Ok(move |filter| {
        // This fails only if the log has ended, and the log lives as long as the process.
        let _ = handle.reload(filter);
    })
}

/// Applies the log settings of the configuration in force, unless the command line or the
/// environment takes precedence.
pub(super) struct LogFollower<F> {
    /// The format that the command line gave.
    pub(super) format: Option<LogFormat>,
    pub(super) start_settings: StartSettings,
    pub(super) set_filter: F,
    /// The settings that were applied last.
    pub(super) in_force: Mutex<LogSettings>,
}

impl<F: Fn(EnvFilter)> LogFollower<F> {
    /// Applies these settings to the log. The line about the change itself is already logged under
    /// the new settings.
    pub(super) fn follow(&self, settings: LogSettings) {
        let in_force = self.in_force.lock();
        let mut in_force = in_force.unwrap_or_else(|poisoned| poisoned.into_inner());
        if *in_force == settings {
            return;
        }
        *in_force = settings;
        let format = self.format.unwrap_or(settings.format);
        LINES.set_format(format);
        // RUST_LOG was valid at startup, so this cannot fail.
        if let Ok(filter) = self.start_settings.filter(settings.level) {
            (self.set_filter)(filter.filter);
        }
        let level = self.start_settings.level.unwrap_or(settings.level);
        let (level, format) = (level.name(), format.name());
        info!("the log has level {level}, format {format}");
    }
}

/// A formatter that writes each line in the format in force.
struct EventFormat {
    human: Format<Full>,
    json: Format<Json>,
}

impl<S, N> FormatEvent<S, N> for EventFormat
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match LINES.format() {
            LogFormat::Human => self.human.format_event(context, writer, event),
            LogFormat::Json => self.json.format_event(context, writer, event),
        }
    }
}

/// Waits until all logged lines are written, but at most for [`FLUSH_TIMEOUT`].
pub(super) fn finish() {
    let waiting = LINES.lock();
    let all_written = LINES
        .written
        .wait_timeout_while(waiting, FLUSH_TIMEOUT, |queued| !queued.all_written());
    drop(all_written);
}

/// Logs diagnostics: as text in the human format, and as one line for each diagnostic in the JSON
/// format.
pub(super) fn report_diagnostics(found: &Diagnostics) {
    match LINES.format() {
        LogFormat::Json => log_diagnostics(found),
        LogFormat::Human if found.is_empty() => {}
        LogFormat::Human => LINES.push(rendered(found).as_bytes(), QueueRule::IfRoom),
    }
}

/// The condition under which a line is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QueueRule {
    /// The line is dropped and counted if there is no room.
    IfRoom,
    /// The line is queued even if there is no room.
    InAnyCase,
}

/// The queue of lines.
#[derive(Debug)]
struct LineQueue {
    /// True if lines are JSON.
    is_json: AtomicBool,
    waiting: Mutex<QueuedLines>,
    /// Signalled when lines are queued.
    queued: Condvar,
    /// Signalled when all lines are written.
    written: Condvar,
}

#[derive(Debug)]
struct QueuedLines {
    text: Vec<u8>,
    /// The number of lines that were dropped since the last report.
    dropped: u64,
    /// True while the writing thread is writing.
    writing: bool,
}

impl QueuedLines {
    const fn new() -> Self {
        Self {
            text: Vec::new(),
            dropped: 0,
            writing: false,
        }
    }

    fn all_written(&self) -> bool {
        self.text.is_empty() && !self.writing
    }
}

impl LineQueue {
    fn format(&self) -> LogFormat {
        match self.is_json.load(Ordering::Relaxed) {
            true => LogFormat::Json,
            false => LogFormat::Human,
        }
    }

    fn set_format(&self, format: LogFormat) {
        self.is_json
            .store(format == LogFormat::Json, Ordering::Relaxed);
    }

    /// Locks the queue, even if the lock is poisoned, because no panic can leave the queue
    /// inconsistent.
    fn lock(&self) -> MutexGuard<'_, QueuedLines> {
        let waiting = self.waiting.lock();
        waiting.unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Queues a line.
    fn push(&self, line: &[u8], rule: QueueRule) {
        let mut waiting = self.lock();
        if waiting.text.len() >= WAITING_MAX && rule == QueueRule::IfRoom {
            waiting.dropped += 1;
            return;
        }
        let first = waiting.text.is_empty();
        waiting.text.extend_from_slice(line);
        drop(waiting);
        if first {
            self.queued.notify_one();
        }
    }

    /// Waits until lines are queued, and moves them to `lines`. The previous content of `lines`,
    /// which must have been written, is removed. Returns the number of lines that were dropped
    /// since the previous call.
    fn next(&self, lines: &mut Vec<u8>) -> u64 {
        lines.clear();
        let mut waiting = self.lock();
        waiting.writing = false;
        if waiting.all_written() {
            self.written.notify_all();
        }
        let waiting = self
            .queued
            .wait_while(waiting, |queued| queued.text.is_empty());
        let mut waiting = waiting.unwrap_or_else(|poisoned| poisoned.into_inner());
        waiting.writing = true;
        std::mem::swap(&mut waiting.text, lines);
        std::mem::take(&mut waiting.dropped)
    }

    fn write_all_to(&self, out: &mut impl Write) {
        let mut lines = Vec::new();
        loop {
            let dropped = self.next(&mut lines);
            if dropped > 0 {
                // The warning directly follows `lines`, unless another thread has logged
                // meanwhile.
                warn!(
                    target: DROPPED_TARGET,
                    dropped,
                    "{dropped} log lines dropped: they were not read in time"
                );
            }
            write_all(out, &lines);
        }
    }
}

/// Writes as much as possible. Errors are ignored, because they could only be reported to the
/// reader of the log.
fn write_all(out: &mut impl Write, mut text: &[u8]) {
    while !text.is_empty() {
        match out.write(text) {
            Ok(0) => return,
            Ok(n) => text = &text[n..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(RETRY_INTERVAL)
            }
            Err(_) => return,
        }
    }
}

/// A writer that queues the bytes of each write as one line.
#[derive(Debug)]
struct LineWriter {
    queue: &'static LineQueue,
    rule: QueueRule,
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue.push(line, self.rule);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for &'static LineQueue {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter {
            queue: self,
            rule: QueueRule::IfRoom,
        }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> LineWriter {
        LineWriter {
            queue: self,
            rule: if metadata.target() == DROPPED_TARGET {
                QueueRule::InAnyCase
            } else {
                QueueRule::IfRoom
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queued_lines_are_bounded_and_dropped_lines_are_counted() {
        let lines = LineQueue {
            is_json: AtomicBool::new(false),
            waiting: Mutex::new(QueuedLines::new()),
            queued: Condvar::new(),
            written: Condvar::new(),
        };
        let line = vec![b'x'; WAITING_MAX / 4 + 1];
        for _ in 0..7 {
            lines.push(&line, QueueRule::IfRoom);
        }
        let mut taken = Vec::new();
        assert_eq!(lines.next(&mut taken), 3);
        assert_eq!(taken.len(), 4 * line.len());
        assert!(!lines.lock().all_written());
        lines.push(b"next", QueueRule::IfRoom);
        assert_eq!(lines.next(&mut taken), 0);
        assert_eq!(taken, b"next");
    }
}
