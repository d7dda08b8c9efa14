//! The follower where nothing can be watched.

use std::sync::mpsc::{self, Sender};

use super::watches::tests::{Exhausted, One};
use super::*;

/// Lines of a log, as they are written.
#[derive(Clone)]
struct Lines(Sender<String>);

impl std::io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.send(String::from_utf8_lossy(line).into_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn follows_without_watches(lay: Lay, why: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("routes.yaml");
    std::fs::create_dir(directory.path().join("schemas")).unwrap();
    let write = |routes: &str| {
        let text = format!(
            "frontends: {{ c: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
             pools: {{ p: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
             reload: {{ settle: 1ms }}\nroutes: {{ {routes} }}\n"
        );
        std::fs::write(&file, text).unwrap();
    };
    write("A: { pool: p }");
    let inputs = Inputs::read(&file, &[]);
    let seen = inputs.seen().clone();
    let snapshot = Arc::new(inputs.load().unwrap().snapshot);
    let running = crate::engine::start(Arc::clone(&snapshot)).unwrap();
    let mut follower = Follower::new(&file, seen, snapshot, running.reloader(), |_| {});
    follower.lay = lay;
    follower.look_every = Duration::from_millis(100);
    let (lines, said) = mpsc::channel();
    std::thread::spawn(move || {
        let lines = Lines(lines);
        let log = tracing_subscriber::fmt().with_writer(move || lines.clone());
        tracing::subscriber::with_default(log.finish(), || follower.follow());
    });
    let until = |words: &str| -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = said.recv_timeout(Duration::from_secs(30));
            lines.push(line.unwrap_or_else(|_| panic!("no {words:?} in {lines:?}")));
            if lines.last().is_some_and(|line| line.contains(words)) {
                return lines;
            }
        }
    };
    let blind = until("can't watch every file").concat();
    assert!(blind.contains("WARN") && blind.contains(why), "{blind}");
    write("A: { pool: p }, B: { pool: p }");
    let later = until("reloaded: +1 route (B)").concat();
    assert!(!later.contains("can't watch"), "said twice: {later}");
    running.control().stop();
    running.wait().unwrap();
}

#[test]
fn without_a_watch_files_are_looked_at_and_that_is_said_once() {
    std::thread::scope(|scope| {
        scope.spawn(|| follows_without_watches(lay::<Exhausted>, "fs.inotify.max_user_instances"));
        scope.spawn(|| follows_without_watches(lay::<One>, "fs.inotify.max_user_watches"));
    });
}
