//! Samples from the data thread, for any number of HTTP clients at once.
//!
//! The data thread answers into a channel that never blocks, and notifies the admin thread by
//! writing a byte, so it touches no lock of the async runtime. All waiting clients share one
//! request, and at least [`SAMPLE_INTERVAL`] passes between two requests, so that no number of HTTP
//! clients can keep the data thread busy with counting.

use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::guarded::guarded;
use super::pages::Pages;
use crate::engine::Observer;
use crate::metrics::Sample;

/// The minimum time between two requests to the data thread. Clients that ask earlier wait, and
/// their sample is never older than their request.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(10);

/// The maximum time to wait for the data thread's answer: thousands of times the usual time.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(1);

/// The number of requests that are kept until the next sample; further clients wait to add theirs.
/// It exceeds the number of connections, because the requests of closed connections stay, too.
const WAITERS_MAX: usize = 1024;

type Waiter = oneshot::Sender<Arc<Pages>>;

/// A source of samples, which requests them on behalf of all clients.
#[derive(Debug)]
pub(super) struct Sampler {
    waiters: mpsc::Sender<Waiter>,
}

impl Sampler {
    /// Starts the task that requests samples. It ends with the sampler.
    pub(super) fn start(observer: Observer) -> io::Result<Self> {
        let (ring, bell) = StdUnixStream::pair()?;
        ring.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        let bell = UnixStream::from_std(bell)?;
        let (waiters, mut requests) = mpsc::channel(WAITERS_MAX);
        let ring = Arc::new(ring);
        tokio::spawn(async move {
            while guarded(sample_for_all(&observer, &mut requests, &ring, &bell))
                .await
                .is_none()
            {}
        });
        Ok(Self { waiters })
    }

    /// Returns the pages of a sample that is taken after this call, or `None` if the data thread
    /// does not answer.
    pub(super) async fn sample(&self) -> Option<Arc<Pages>> {
        let (waiter, pages) = oneshot::channel();
        self.waiters.send(waiter).await.ok()?;
        pages.await.ok()
    }
}

async fn sample_for_all(
    observer: &Observer,
    requests: &mut mpsc::Receiver<Waiter>,
    ring: &Arc<StdUnixStream>,
    bell: &UnixStream,
) {
    let mut next = Instant::now();
    while let Some(first) = requests.recv().await {
        sleep_until(next).await;
        let mut waiters = vec![first];
        while let Ok(other) = requests.try_recv() {
            waiters.push(other);
        }
        let answered = timeout(SAMPLE_TIMEOUT, ask(observer, ring, bell)).await;
        next = Instant::now() + SAMPLE_INTERVAL;
        if let Ok(Some(sample)) = answered {
            let pages = Arc::new(Pages::new(sample));
            for waiter in waiters {
                // The client may have disconnected.
                let _ = waiter.send(Arc::clone(&pages));
            }
        }
    }
}

async fn ask(
    observer: &Observer,
    ring: &Arc<StdUnixStream>,
    bell: &UnixStream,
) -> Option<Arc<Sample>> {
    let (sender, samples) = std_mpsc::channel();
    let ring = Arc::clone(ring);
    let sent = observer.request(move |sample| {
        let _ = sender.send(sample);
        // This fails only if the reader has ended, or if the socket is full of unread bytes, each
        // of which wakes the reader.
        let _ = io::Write::write(&mut &*ring, &[0]);
    });
    if !sent {
        return None;
    }
    loop {
        bell.ready(Interest::READABLE).await.ok()?;
        let mut rung = [0; 16];
        match bell.try_read(&mut rung) {
            // The byte may belong to an answer that came too late for its request.
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
