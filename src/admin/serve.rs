//! The thread, its listener and its connections, each bounded.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::Sights;
use super::answer::answer;
use super::sampler::Sampler;
use crate::snapshot::AdminSettings;

/// Connections served at once; the next wait in the kernel's backlog. A scraper, a probe and a few people
/// need a handful.
const CONNECTIONS: u32 = 64;

/// How long a request's head may take, and how long a connection may say nothing between two.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long a connection may last, so that one that reads slowly or never frees its place. Longer than a
/// reload is waited for.
const CONNECTION_TIME: Duration = Duration::from_secs(120);

/// Bytes of a request's head, and so of what is buffered for a connection: bodies are not read.
const HEAD_MAX: usize = 16 << 10;

/// How long those that are being answered may take once the listener is closed.
const CLOSING: Duration = Duration::from_secs(5);

/// How long accepting rests when it failed, which is when there are no descriptors left.
const REST: Duration = Duration::from_millis(100);

/// A listener that serves; dropped, it is closed.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) settings: AdminSettings,
    /// As the system resolved it.
    pub(super) endpoint: String,
    _open: oneshot::Sender<()>,
}

/// A listener with a thread that waits to serve it; dropped, both end.
#[derive(Debug)]
pub(super) struct Opening {
    settings: AdminSettings,
    address: SocketAddr,
    go: mpsc::Sender<oneshot::Receiver<()>>,
}

impl Opening {
    /// Has everything ready.
    pub(super) fn new(
        settings: AdminSettings,
        listener: TcpListener,
        sights: Sights,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let (go, going) = mpsc::channel();
        std::thread::Builder::new()
            .name("admin".into())
            .spawn(move || {
                if let Ok(closed) = going.recv() {
                    run(&runtime, listener, sights, closed);
                }
            })?;
        Ok(Self {
            settings,
            address,
            go,
        })
    }

    /// Serves from now on.
    pub(super) fn go(self) -> Serving {
        let (open, closed) = oneshot::channel();
        // The thread waits for this and for nothing else.
        let _ = self.go.send(closed);
        Serving {
            settings: self.settings,
            endpoint: format!("http://{}", self.address),
            _open: open,
        }
    }
}

/// Serves until `closed`.
fn run(runtime: &Runtime, listener: TcpListener, sights: Sights, closed: oneshot::Receiver<()>) {
    runtime.block_on(async {
        let room = Arc::new(Semaphore::new(CONNECTIONS as usize));
        let accepting = tokio::spawn(accept(listener, sights, Arc::clone(&room)));
        // It ends when its sender is dropped.
        let _ = closed.await;
        accepting.abort();
        let _ = timeout(CLOSING, room.acquire_many(CONNECTIONS)).await;
    });
}

async fn accept(listener: TcpListener, sights: Sights, room: Arc<Semaphore>) {
    // It fails only where there is no runtime to register with.
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let Ok(sampler) = Sampler::start(sights.observer.clone()) else {
        return;
    };
    let seen = Arc::new((sights, sampler));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let _ = timeout(CONNECTION_TIME, converse(stream, seen)).await;
                    drop(place);
                });
            }
            Err(_) => sleep(REST).await,
        }
    }
}

async fn converse(stream: TcpStream, seen: Arc<(Sights, Sampler)>) {
    let local = stream.local_addr().is_ok_and(|at| at.ip().is_loopback());
    let service = service_fn(move |request| {
        let seen = Arc::clone(&seen);
        async move { answer(&request, &seen.0, &seen.1, local).await }
    });
    // A connection that fails is its client's loss.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
