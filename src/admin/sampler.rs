//! Samples from the data thread, for any number of HTTP clients at once.
//!
//! The data thread sends its answer to a channel that never blocks, and notifies the admin thread
//! by writing a byte. It therefore takes no lock of the async runtime. All waiting clients share
//! one request, and at least [`SAMPLE_INTERVAL`] passes between two requests. Therefore, no number
//! of HTTP clients can keep the data thread busy with counting.

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

/// The maximum number of requests that are queued until the next sample. Further clients wait until
/// the queue has room. The number exceeds the number of connections, because the requests of closed
/// connections stay in the queue, too.
const WAITERS_MAX: usize = 1024;

type Waiter = oneshot::Sender<Arc<Pages>>;

/// A source of samples, which makes one request to the data thread for all waiting clients.
#[derive(Debug)]
pub(super) struct Sampler {
    waiters: mpsc::Sender<Waiter>,
}

impl Sampler {
    /// Starts the task that requests samples. The task ends when the sampler is dropped.
    pub(super) fn start(observer: Observer) -> io::Result<Self> {
        let (wake_writer, wake_reader) = StdUnixStream::pair()?;
        wake_writer.set_nonblocking(true)?;
        wake_reader.set_nonblocking(true)?;
        let wake_reader = UnixStream::from_std(wake_reader)?;
        let (waiters, mut requests) = mpsc::channel(WAITERS_MAX);
        let wake_writer = Arc::new(wake_writer);
        tokio::spawn(async move {
            while guarded(sample_for_all(
                &observer,
                &mut requests,
                &wake_writer,
                &wake_reader,
            ))
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
    wake_writer: &Arc<StdUnixStream>,
    wake_reader: &UnixStream,
) {
    let mut next = Instant::now();
    while let Some(first) = requests.recv().await {
        sleep_until(next).await;
        let mut waiters = vec![first];
        while let Ok(other) = requests.try_recv() {
            waiters.push(other);
        }
        let answered = timeout(SAMPLE_TIMEOUT, ask(observer, wake_writer, wake_reader)).await;
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
    wake_writer: &Arc<StdUnixStream>,
    wake_reader: &UnixStream,
) -> Option<Arc<Sample>> {
    let (sender, samples) = std_mpsc::channel();
    let wake_writer = Arc::clone(wake_writer);
    let sent = observer.request(move |sample| {
        let _ = sender.send(sample);
        // This fails only if the reader has ended, or if the socket is full. The unread bytes of a
        // full socket wake the reader, too.
        let _ = io::Write::write(&mut &*wake_writer, &[0]);
    });
    if !sent {
        return None;
    }
    loop {
        wake_reader.ready(Interest::READABLE).await.ok()?;
        let mut bytes = [0; 16];
        match wake_reader.try_read(&mut bytes) {
            // The byte may belong to an answer that was too late for its request.
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
