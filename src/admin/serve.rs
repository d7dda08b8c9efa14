//! The thread, its listener and its connections, each bounded.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::mpsc::{Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::answer::answer;
use super::guarded::guarded;
use super::places::{Activity, Places};
use super::sampler::Sampler;
use super::sights::Sights;
use crate::snapshot::AdminSettings;

/// The most connections at once. A scraper, a probe and a few people need a handful; beyond that, the one that has been
/// silent or slow for longest makes way for the next. So many that a request that follows its connection at once is
/// served before a flood of other connections has displaced it.
const CONNECTIONS_MAX: usize = 64;

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

/// How long it may take the thread, which has next to nothing to do, to close its listener or open it again.
const OBEYS: Duration = Duration::from_secs(1);

/// A listener that serves; dropped, it is closed.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) settings: AdminSettings,
    /// As the system resolved it.
    pub(super) address: SocketAddr,
    orders: UnboundedSender<Order>,
}

/// What a serving thread may be told; it ends when nobody can tell it anything any more.
#[derive(Debug)]
enum Order {
    /// To close the listener. Those that are being answered stay.
    Rest(mpsc::Sender<()>),
    /// To listen again, where it did.
    Listen(mpsc::Sender<()>),
}

impl Serving {
    /// Closes the listener for now, to make room for one on the same port.
    pub(super) fn rest(&self) -> Option<Resting> {
        // Made first, so that whatever comes of it is undone.
        let resting = Resting(Some(self.orders.clone()));
        obeys(&self.orders, Order::Rest).then_some(resting)
    }
}

/// A listener that is closed for now; dropped, it is open again.
#[derive(Debug)]
pub(super) struct Resting(Option<UnboundedSender<Order>>);

impl Resting {
    /// It need not open again.
    pub(super) fn for_good(mut self) {
        self.0 = None;
    }
}

impl Drop for Resting {
    fn drop(&mut self) {
        if let Some(orders) = &self.0 {
            obeys(orders, Order::Listen);
        }
    }
}

/// Gives an order and waits until it is carried out; says whether it was.
fn obeys(orders: &UnboundedSender<Order>, order: fn(mpsc::Sender<()>) -> Order) -> bool {
    let (done, is_done) = mpsc::channel();
    orders.send(order(done)).is_ok() && is_done.recv_timeout(OBEYS).is_ok()
}

/// A listener with a thread that waits to serve it; dropped, both end.
#[derive(Debug)]
pub(super) struct Opening {
    settings: AdminSettings,
    address: SocketAddr,
    listener: TcpListener,
    go: mpsc::Sender<(TcpListener, UnboundedReceiver<Order>)>,
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
                if let Ok((listener, orders)) = going.recv() {
                    runtime.block_on(run(listener, address, sights, orders));
                }
            })?;
        Ok(Self {
            settings,
            address,
            listener,
            go,
        })
    }

    /// Serves from now on.
    pub(super) fn go(self) -> Serving {
        let (orders, obeyed) = unbounded_channel();
        // The thread waits for this and for nothing else.
        let _ = self.go.send((self.listener, obeyed));
        Serving {
            settings: self.settings,
            address: self.address,
            orders,
        }
    }
}

/// Serves until nobody can give orders any more.
async fn run(
    listener: TcpListener,
    address: SocketAddr,
    sights: Sights,
    mut orders: UnboundedReceiver<Order>,
) {
    let Ok(sampler) = Sampler::start(sights.observer.clone()) else {
        return;
    };
    let seen = Arc::new((sights, sampler));
    let places = Arc::new(Places::new(CONNECTIONS_MAX));
    // Each connection holds a sender: once the last is dropped, all have ended.
    let (open, mut all_ended) = channel::<()>(1);
    let accept_on = |listener: Option<TcpListener>| {
        let (seen, places, open) = (Arc::clone(&seen), Arc::clone(&places), open.clone());
        tokio::spawn(async move {
            let mut listener = listener;
            loop {
                let accepts = accept(listener.take(), address, &seen, &places, &open);
                if guarded(accepts).await.is_some() {
                    return;
                }
            }
        })
    };
    let mut accepting = accept_on(Some(listener));
    while let Some(order) = orders.recv().await {
        let done = match order {
            Order::Rest(done) => {
                accepting.abort();
                // Once it has ended, its listener is closed.
                let _ = (&mut accepting).await;
                done
            }
            Order::Listen(done) => {
                accepting.abort();
                accepting = accept_on(listen(address).ok());
                done
            }
        };
        // Whoever gave the order may have lost patience.
        let _ = done.send(());
    }
    accepting.abort();
    drop(open);
    let _ = timeout(CLOSING, all_ended.recv()).await;
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Without a listener, because somebody else was faster at its address, it is tried again.
async fn accept(
    mut listener: Option<TcpListener>,
    address: SocketAddr,
    seen: &Arc<(Sights, Sampler)>,
    places: &Places,
    open: &Sender<()>,
) {
    let listener = loop {
        match listener.take() {
            Some(listener) => break listener,
            None => sleep(REST).await,
        }
        listener = listen(address).ok();
    };
    // It fails only where there is no runtime to register with.
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (seen, open) = (Arc::clone(seen), open.clone());
                places.take(|activity| {
                    tokio::spawn(async move {
                        let _ = timeout(CONNECTION_TIME, converse(stream, seen, activity)).await;
                        drop(open);
                    })
                });
                // The request may be there already: it is served before the next connection is accepted.
                yield_now().await;
            }
            Err(_) => {
                // There may be no descriptors left.
                places.close_oldest();
                sleep(REST).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, seen: Arc<(Sights, Sampler)>, activity: Activity) {
    let local = stream.local_addr().is_ok_and(|at| at.ip().is_loopback());
    let service = service_fn(move |request| {
        let seen = Arc::clone(&seen);
        let activity = activity.clone();
        async move {
            let _answering = activity.begin();
            answer(&request, &seen.0, &seen.1, local).await
        }
    });
    // A connection that fails is its client's loss.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_MAX)
        // A client that has said all it has to say is answered all the same.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
