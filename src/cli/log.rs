//! What is logged → standard error, by a thread of its own: whoever logs never waits for whoever reads.
//!
//! A pipe that nobody reads takes 64 KiB and then stops its writer, which must not be the data thread. So lines
//! wait here, within a bound; beyond it they are dropped, counted, and told of once somebody reads again.

use std::io::{self, ErrorKind, Write};
use std::panic::catch_unwind;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use tracing::{Metadata, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::arguments::LogFormat;
use super::render::{colour, rendered};
use gateway_diagnostic::Diagnostics;

/// Bytes of lines that may wait to be written: some thousand lines, so that a reader that hangs for a moment
/// misses nothing. One line more is let in, however long, so that none is too long for an empty queue.
const WAITING_MAX: usize = 1 << 20;

/// How long the end of the process waits for the last lines to be taken.
const FLUSH: Duration = Duration::from_secs(2);

/// Between two attempts, where standard error doesn't block because another process that has it open wants
/// it so.
const AGAIN: Duration = Duration::from_millis(10);

/// The target of the line that tells what was dropped, and must not be dropped itself.
const DROPPED: &str = "gateway::log::dropped";

/// The log of the process, as there is one standard error.
static LINES: Lines = Lines {
    waiting: Mutex::new(Waiting::new()),
    come: Condvar::new(),
    written: Condvar::new(),
};

/// Logs from now on, by a thread of its own. What fails is to start that thread.
pub(super) fn start(format: LogFormat, filter: EnvFilter) -> io::Result<()> {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(&LINES)
        // Told on standard error, by a macro that panics when nobody reads that any more: a gateway must outlive
        // the reader of its log.
        .log_internal_errors(false)
        .with_target(false);
    let thread = std::thread::Builder::new().name("log".into());
    thread.spawn(|| {
        // A panic there must not be the end of the log; the lines that it was writing are lost.
        while catch_unwind(|| LINES.write_all_to(&mut io::stderr())).is_err() {}
    })?;
    match format {
        LogFormat::Human => log.with_ansi(colour()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Waits until all is written that was logged, or nobody takes it in time.
pub(super) fn finish() {
    let waiting = LINES.lock();
    let all_written = LINES
        .written
        .wait_timeout_while(waiting, FLUSH, |it| !it.all_written());
    drop(all_written);
}

/// Tells diagnostics to people.
pub(super) fn tell(found: &Diagnostics) {
    if !found.is_empty() {
        LINES.push(rendered(found).as_bytes(), Entry::IfRoom);
    }
}

/// The condition under which a line is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// Dropped, and counted, if there is no room.
    IfRoom,
    /// Taken in without room, too.
    InAnyCase,
}

/// Lines on their way.
#[derive(Debug)]
struct Lines {
    waiting: Mutex<Waiting>,
    /// There is something to write.
    come: Condvar,
    /// Everything is written.
    written: Condvar,
}

#[derive(Debug)]
struct Waiting {
    text: Vec<u8>,
    /// Lines that came when there was no room, since it was last told.
    dropped: u64,
    /// The thread that writes is at it.
    writing: bool,
}

impl Waiting {
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

impl Lines {
    /// Nothing that is done under the lock can be left half done by a panic.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        let waiting = self.waiting.lock();
        waiting.unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Takes in a line.
    fn push(&self, line: &[u8], entry: Entry) {
        let mut waiting = self.lock();
        if waiting.text.len() >= WAITING_MAX && entry == Entry::IfRoom {
            waiting.dropped += 1;
            return;
        }
        let first = waiting.text.is_empty();
        waiting.text.extend_from_slice(line);
        drop(waiting);
        if first {
            self.come.notify_one();
        }
    }

    /// Waits for lines and swaps them for `written`, which were; gives how many were dropped behind them.
    fn next(&self, written: &mut Vec<u8>) -> u64 {
        written.clear();
        let mut waiting = self.lock();
        waiting.writing = false;
        if waiting.all_written() {
            self.written.notify_all();
        }
        let waiting = self.come.wait_while(waiting, |it| it.text.is_empty());
        let mut waiting = waiting.unwrap_or_else(|poisoned| poisoned.into_inner());
        waiting.writing = true;
        std::mem::swap(&mut waiting.text, written);
        std::mem::take(&mut waiting.dropped)
    }

    fn write_all_to(&self, out: &mut impl Write) {
        let mut lines = Vec::new();
        loop {
            let dropped = self.next(&mut lines);
            if dropped > 0 {
                // It is the next to be written, for there is nothing else yet.
                warn!(
                    target: DROPPED,
                    dropped,
                    "{dropped} log lines dropped: nobody read them in time"
                );
            }
            write_all(out, &lines);
        }
    }
}

/// Writes what can be written; a reader that is gone can't be told.
fn write_all(out: &mut impl Write, mut text: &[u8]) {
    while !text.is_empty() {
        match out.write(text) {
            Ok(0) => return,
            Ok(n) => text = &text[n..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(AGAIN),
            Err(_) => return,
        }
    }
}

/// Takes in one line, which is written whole.
#[derive(Debug)]
struct Line {
    to: &'static Lines,
    entry: Entry,
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.to.push(line, self.entry);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for &'static Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            to: self,
            entry: Entry::IfRoom,
        }
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Line {
        Line {
            to: self,
            entry: if of.target() == DROPPED {
                Entry::InAnyCase
            } else {
                Entry::IfRoom
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_what_is_dropped_is_counted() {
        let lines = Lines {
            waiting: Mutex::new(Waiting::new()),
            come: Condvar::new(),
            written: Condvar::new(),
        };
        let line = vec![b'x'; WAITING_MAX / 4 + 1];
        for _ in 0..7 {
            lines.push(&line, Entry::IfRoom);
        }
        let mut taken = Vec::new();
        assert_eq!(lines.next(&mut taken), 3);
        assert_eq!(taken.len(), 4 * line.len());
        assert!(!lines.lock().all_written());
        lines.push(b"next", Entry::IfRoom);
        assert_eq!(lines.next(&mut taken), 0);
        assert_eq!(taken, b"next");
    }
}
