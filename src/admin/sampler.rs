//! Samples from the data thread, for any number of askers at once.
//!
//! The data thread answers into a channel that never makes it wait and rings by writing a byte: no lock of
//! the runtime's is touched there. It is asked once for all who wait, and not more often than is of use, so
//! that no number of HTTP clients can keep it busy with counting.

use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::guarded::guarded;
use crate::engine::Observer;
use crate::metrics::Sample;

/// The data thread is asked once in this time at most. Those who ask sooner wait, and what they get is not
/// older than their question.
const SPACING: Duration = Duration::from_millis(10);

/// How long it may take to answer: thousands of times what it takes when all is well.
const PATIENCE: Duration = Duration::from_secs(1);

type Asker = oneshot::Sender<Arc<Sample>>;

/// Asks on behalf of everybody.
#[derive(Debug)]
pub(super) struct Sampler {
    askers: mpsc::Sender<Asker>,
}

impl Sampler {
    /// Starts the task that asks; it ends with the sampler.
    pub(super) fn start(observer: Observer) -> io::Result<Self> {
        let (ring, bell) = StdUnixStream::pair()?;
        ring.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        let bell = UnixStream::from_std(bell)?;
        // As many as there may be connections would do; more wait for their turn here.
        let (askers, asked) = mpsc::channel(16);
        let (mut asked, ring) = (asked, Arc::new(ring));
        tokio::spawn(async move {
            while guarded(ask_for_all(&observer, &mut asked, &ring, &bell))
                .await
                .is_none()
            {}
        });
        Ok(Self { askers })
    }

    /// A sample of a moment after this call; none if the data thread doesn't answer.
    pub(super) async fn sample(&self) -> Option<Arc<Sample>> {
        let (asker, sample) = oneshot::channel();
        self.askers.send(asker).await.ok()?;
        sample.await.ok()
    }
}

async fn ask_for_all(
    observer: &Observer,
    asked: &mut mpsc::Receiver<Asker>,
    ring: &Arc<StdUnixStream>,
    bell: &UnixStream,
) {
    let mut next = Instant::now();
    while let Some(first) = asked.recv().await {
        sleep_until(next).await;
        let mut askers = vec![first];
        while let Ok(other) = asked.try_recv() {
            askers.push(other);
        }
        let answered = timeout(PATIENCE, ask(observer, ring, bell)).await;
        next = Instant::now() + SPACING;
        if let Ok(Some(sample)) = answered {
            for asker in askers {
                // It may have hung up.
                let _ = asker.send(Arc::clone(&sample));
            }
        }
    }
}

async fn ask(
    observer: &Observer,
    ring: &Arc<StdUnixStream>,
    bell: &UnixStream,
) -> Option<Arc<Sample>> {
    let (told, samples) = std_mpsc::channel();
    let ring = Arc::clone(ring);
    let asked = observer.ask(move |sample| {
        let _ = told.send(sample);
        // It fails when it rings already.
        let _ = io::Write::write(&mut &*ring, &[0]);
    });
    if !asked {
        return None;
    }
    loop {
        bell.ready(Interest::READABLE).await.ok()?;
        let mut rung = [0; 16];
        match bell.try_read(&mut rung) {
            // A ring may be that of an answer that came too late for its question.
            Ok(_) => match samples.try_recv() {
                Ok(sample) => return Some(sample),
                Err(std_mpsc::TryRecvError::Empty) => {}
                Err(std_mpsc::TryRecvError::Disconnected) => return None,
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}
