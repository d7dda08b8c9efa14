//! Tests of the panic hook of the whole process.

use std::io::{Result, Write};
use std::sync::mpsc::{Sender, channel};

use gateway::panics::Panics;

use crate::support::turns;

/// The lines of a log, as they are written.
#[derive(Clone)]
struct Lines(Sender<String>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> Result<usize> {
        let _ = self.0.send(String::from_utf8_lossy(line).into_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn each_panic_is_counted_and_panics_at_one_place_are_logged_once() {
    let _turn = turns::take();
    let usual = std::panic::take_hook();
    let panics = Panics::watch();
    let (lines, logged) = channel();
    let thread = std::thread::Builder::new().name("unlucky".into());
    let panicked = thread.spawn(move || {
        let lines = Lines(lines);
        let log = tracing_subscriber::fmt().with_writer(move || lines.clone());
        tracing::subscriber::with_default(log.finish(), || {
            for n in 0..3 {
                let _ = std::panic::catch_unwind(|| panic!("out of luck {n}"));
            }
        });
    });
    panicked.unwrap().join().unwrap();
    let count = panics.count();
    std::panic::set_hook(usual);
    assert_eq!(count, 3);
    let logged: String = logged.iter().collect();
    assert_eq!(logged.lines().count(), 1, "{logged}");
    for part in [
        "ERROR",
        "tests/alone/panics.rs:",
        "unlucky",
        "out of luck 0",
    ] {
        assert!(logged.contains(part), "no {part} in {logged}");
    }
}
